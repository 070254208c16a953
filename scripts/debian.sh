# Sourced by scripts that take packages of Debian: from this machine's own mirror, checked with
# Debian's keys. DEBIAN_MIRROR and DEBIAN_KEYRING name others.

# apt_sources FILE...: prints "URI SUITE COMPONENTS KEYRING" for every source of binary packages in
# files of apt, one-line (*.list) or deb822 (*.sources); components are joined by commas.
apt_sources() {
    local file
    for file in "$@"; do
        case $file in
            *.list) one_line_sources "$file" ;;
            *.sources) deb822_sources "$file" ;;
        esac
    done
}

one_line_sources() {
    sed 's/#.*//' "$1" | awk '$1 == "deb" {
        keyring = "-"
        if (match($0, /\[[^]]*\]/)) {
            options = " " substr($0, RSTART + 1, RLENGTH - 2) " "
            $0 = substr($0, 1, RSTART - 1) " " substr($0, RSTART + RLENGTH)
            if (match(options, /[ \t]signed-by=[^ \t]*/))
                keyring = substr(options, RSTART + 11, RLENGTH - 11)
        }
        components = $4
        for (i = 5; i <= NF; i++) components = components "," $i
        if (NF >= 4) print $2, $3, components, keyring
    }'
}

deb822_sources() {
    awk '
    function stanza(    uris, suites, i, j, n, m, components) {
        components = value["components"]
        gsub(/[ \t]+/, ",", components)
        n = split(value["uris"], uris); m = split(value["suites"], suites)
        if (tolower(value["enabled"]) !~ /^(no|false|without|off|disable|0)$/ &&
                (" " value["types"] " ") ~ /[ \t]deb[ \t]/ && components != "")
            for (i = 1; i <= n; i++) for (j = 1; j <= m; j++)
                print uris[i], suites[j], components, \
                    (value["signed-by"] ~ /^\// ? value["signed-by"] : "-")
        split("", value); field = ""
    }
    { sub(/\r$/, "") }
    /^#/ { next }
    /^[ \t]*$/ { stanza(); next }
    /^[ \t]/ { more = $0 }
    /^[^ \t]/ { field = tolower($0); sub(/:.*/, "", field); more = $0; sub(/^[^:]*:/, "", more) }
    {
        sub(/^[ \t]+/, "", more); sub(/[ \t]+$/, "", more)
        value[field] = value[field] (value[field] == "" || more == "" ? "" : " ") more
    }
    END { stanza() }' "$1"
}

# debian_mirror [FOLDER]: prints the address of the archive of Debian that this machine takes its
# packages from, by the files of FOLDER (/etc/apt). Other archives have suites of the same names:
# what Debian's own keys sign comes first, then what is called debian. Returns 3 without one.
debian_mirror() {
    local folder=${1:-/etc/apt} found
    if [ -n "${DEBIAN_MIRROR:-}" ]; then echo "$DEBIAN_MIRROR"; return 0; fi
    shopt -s nullglob
    found=$(apt_sources "$folder"/*.list "$folder"/sources.list.d/*.list \
                        "$folder"/sources.list.d/*.sources | while read -r uri suite components keys; do
        case ",$components," in *,main,*) ;; *) continue ;; esac
        case $suite in
            bullseye|bookworm|trixie|forky|sid|oldstable|stable|testing|unstable) ;;
            *) continue ;;
        esac
        case $uri in mirror+file:*)
            uri=$(sed -n 's/[ \t#].*//; /./{p;q}' "${uri#mirror+file:}" 2>/dev/null) ;;
        esac
        case $uri in http://*|https://*|file:*) ;; *) continue ;; esac
        uri=${uri%/}
        case $keys/$uri in
            */debian-archive-*) echo "1 $uri" ;;
            */debian) echo "2 $uri" ;;
            *) echo "3 $uri" ;;
        esac
    done | sort -s -n -k 1,1 | sed -n '1s/^. //p')
    shopt -u nullglob
    if [ -z "$found" ]; then
        echo "error: the apt sources of this machine name no archive of Debian; set DEBIAN_MIRROR" \
             "to the address of one" >&2
        return 3
    fi
    echo "$found"
}

# debian_keyring: prints the file of the keys that releases of Debian are checked with.
debian_keyring() {
    local file keys=/usr/share/keyrings/debian-archive-keyring
    for file in "${DEBIAN_KEYRING:-$keys.gpg}" "${DEBIAN_KEYRING:-$keys.pgp}"; do
        if [ -s "$file" ]; then echo "$file"; return 0; fi
    done
    echo "error: ${DEBIAN_KEYRING:-the keys of Debian} cannot be found, and nothing is taken from" \
         "an archive unchecked; install debian-archive-keyring, or set DEBIAN_KEYRING" >&2
    return 3
}
