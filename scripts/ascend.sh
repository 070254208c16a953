# Sourced by configure.sh: which Ascend chip this machine has, and who may open its device nodes.

NODES=${ASCEND_NODES:-/dev}              # for its test

# The chip as the tags of CANN's images spell it.
chip_here() {
    case $(npu-smi info -m 2>/dev/null | grep -o 'Ascend *[0-9A-Za-z_]*' | head -n 1) in
        *910B[1-4]*) echo 910b ;;
        *910_93*|*910C*) echo a3 ;;
        *310P*) echo 310p ;;
        *950*) echo 950 ;;
        *910*) echo 910 ;;
        *) echo 910b ;;
    esac
}

# Sets NODES_GID, the group of the device nodes, which the containers' user is put into; says why
# it could not open them.
ascend_gid() {
    local node=$NODES/davinci_manager
    if [ ! -e "$node" ]; then
        NODES_GID=$(getent group HwHiAiUser | cut -d: -f3 || true)
        NODES_GID=${NODES_GID:-1000}
        echo "warning: no $node on this machine; trainings on an NPU need the driver" >&2
        return
    fi
    NODES_GID=$(stat -c %g "$node")
    case $(stat -c %A "$node") in
        ????rw*) ;;
        *) echo "warning: group $NODES_GID may not read and write $node, so containers of another" \
                "user than its owner cannot open it; chmod g+rw $NODES/davinci*, or run them as" \
                "user $(stat -c %u "$node") (STACKGAN_UID)" >&2 ;;
    esac
}
