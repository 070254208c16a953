"""Shell completion: the script that `completion SHELL` prints."""

import argparse
from typing import Dict, List

SHELLS = ('bash', 'zsh')
SCRIPT = '''# Completion of stackgan for %(shell)s: commands, options, their choices, and files.
%(first)s_stackgan() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
    local words=
    case "$command $before" in
%(values)s
    esac
    if [ -z "$words" ]; then
        if [ "$COMP_CWORD" -le 1 ]; then
            words="%(commands)s --help --version"
        else
            case "$command" in
%(options)s
            esac
        fi
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    if [ ${#COMPREPLY[@]} -eq 0 ]; then
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -o filenames -F _stackgan stackgan
'''
ZSH = 'autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n'


def script(parser: argparse.ArgumentParser, shell: str, configurations: List[str]) -> str:
    """The script for bash or zsh to source; `configurations` are completed after --config."""
    commands = commands_of(parser)
    values = {"*' --config'": list(configurations)}
    for name, command in commands.items():
        for action in command._actions:
            if action.choices and action.option_strings:
                values[f"'{name} {action.option_strings[-1]}'"] = [
                    str(choice) for choice in action.choices]
    options = {name: _words(command) for name, command in commands.items()}
    return SCRIPT % {
        'shell': shell, 'first': ZSH if shell == 'zsh' else '', 'commands': ' '.join(commands),
        'values': _cases(dict(sorted(values.items())), 8), 'options': _cases(options, 12)}


def _cases(words: Dict[str, List[str]], indent: int) -> str:
    """The branches of a shell `case` that set `words`."""
    return '\n'.join(' ' * indent + f'{name}) words="{" ".join(each)}" ;;'
                     for name, each in words.items())


def commands_of(parser: argparse.ArgumentParser) -> Dict[str, argparse.ArgumentParser]:
    """{name: parser} of the commands of a parser, in their order."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _words(command: argparse.ArgumentParser) -> List[str]:
    options, places = [], []
    for action in command._actions:
        options += [text for text in action.option_strings if text.startswith('--')]
        if action.choices and not action.option_strings:
            places += [choice for choice in action.choices if isinstance(choice, str)]
    return places + options
