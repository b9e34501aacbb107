"""The completion scripts for bash, zsh and fish.

Each has all commands, options and choices written out, so that completing starts no Python but for reviews and IDEs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence

from bridge.cli.grammar import Argument, Command, Kind

__all__ = ["SCRIPTS"]

_LISTS = {Kind.REVIEW: "reviews", Kind.IDE: "ides"}  # what `bridge completions` is asked for


# ---- bash

_BASH = r"""# bash completions for bridge; made by: bridge completions bash
_bridge_offer() {  # the kind of value, the choices: complete the current word
    local line
    COMPREPLY=()
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(
        case $1 in
            choice) compgen -W "$2" -- "$cur" ;;
            file) compgen -f -- "$cur" ;;
            review) compgen -W "$(bridge completions reviews 2>/dev/null | cut -f1)" -- "$cur" ;;
            ide) compgen -W "$(bridge completions ides 2>/dev/null | cut -f1) $2" -- "$cur" ;;
        esac
    )
    if [ "$1" = file ]; then compopt -o filenames 2>/dev/null; fi
}

_bridge() {
    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
    local valued= at=0 word skip= i
    COMPREPLY=()
    if [ "$COMP_CWORD" -le 1 ]; then
        _bridge_offer choice "COMMANDS --help --version"
        return
    fi
    if [ "$cur" = = ]; then  # --option=value is three words here
        cur=
    elif [ "$before" = = ] && [ "$COMP_CWORD" -gt 2 ]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    case $command in
VALUED
        *) return ;;
    esac
    case "$command $before" in
VALUES
    esac
    case $cur in
        -*)
            case $command in
OPTIONS
            esac
            return ;;
    esac
    for ((i = 2; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [ -n "$skip" ]; then
            [ "$word" = = ] || skip=
        elif [[ " $valued " == *" $word "* ]]; then
            skip=1
        elif [[ $word != -?* ]]; then
            at=$((at + 1))
        fi
    done
    case "$command $at" in
POSITIONALS
    esac
}
complete -F _bridge bridge
"""


def bash(commands: Sequence[Command]) -> str:
    """Write the script for bash 3.2 and newer."""
    values = (
        f"        {_either(f'{command.name} {flag}' for flag in option.flags)}) {_offer(option)}; return ;;"
        for command in commands
        for option in command.options
        if option.metavar
    )
    positionals = (
        f"        {_either([f'{command.name} {at}'], rest=argument.many)}) {_offer(argument)} ;;"
        for command in commands
        for at, argument in enumerate(command.positionals)
    )
    return _fill(
        _BASH,
        COMMANDS=" ".join(command.name for command in commands),
        VALUED="\n".join(f'        {c.name}) valued="{" ".join(c.valued)}" ;;' for c in commands),
        VALUES="\n".join(values),
        OPTIONS="\n".join(f'                {c.name}) _bridge_offer choice "{_flags(c)}" ;;' for c in commands),
        POSITIONALS="\n".join(positionals),
    )


def _offer(argument: Argument) -> str:
    return f'_bridge_offer {argument.kind} "{" ".join(_choices(argument))}"'


def _either(patterns: Iterable[str], *, rest: bool = False) -> str:
    """Write a pattern of `case`; with `rest`, for this place and all that follow."""
    return "|".join(f'"{pattern[:-1]}"*' if rest else f'"{pattern}"' for pattern in patterns)


def _flags(command: Command) -> str:
    return " ".join(flag for option in command.options for flag in option.flags)


def _choices(argument: Argument) -> tuple[str, ...]:
    """Give what is always a value: of IDEs, the words in the metavar that are meant literally."""
    return argument.choices or tuple(word for word in argument.metavar.split("|") if word.islower())


# ---- zsh

_ZSH = r"""#compdef bridge
# zsh completions for bridge; made by: bridge completions zsh
_bridge_values() {  # what to list; the words that are always possible
    local -a values
    local line
    values=("${@:2}")
    for line in ${(f)"$(bridge completions $1 2>/dev/null)"}; do
        values+=("${${line%%$'\t'*}//:/\\:}:${${line#*$'\t'}//:/\\:}")
    done
    _describe $1 values
}

_bridge() {
    local -a commands
    commands=(
COMMANDS
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        _arguments '--help[list the commands]' '--version[print the version]'
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
CASES
    esac
}

if [ "$funcstack[1]" = _bridge ]; then _bridge "$@"; else compdef _bridge bridge; fi
"""


def zsh(commands: Sequence[Command]) -> str:
    """Write the script for zsh."""
    return _fill(
        _ZSH,
        COMMANDS="\n".join(f"        {shlex.quote(f'{c.name}:{c.help}')}" for c in commands),
        CASES="\n".join(f"        {c.name}) _arguments {' '.join(_zsh_specs(c))} ;;" for c in commands),
    )


def _zsh_specs(command: Command) -> Iterator[str]:
    for option in command.options:
        together = f"({' '.join(option.flags)})" if len(option.flags) > 1 else ""
        value = f":{_zsh_word(option.metavar)}:{_zsh_action(option)}" if option.metavar else ""
        for flag in option.flags:
            equals = "=" if value and flag.startswith("--") else ""
            yield shlex.quote(f"{together}{flag}{equals}[{_zsh_word(option.help)}]{value}")
    for argument in command.positionals:
        place = "*" if argument.many else ""
        optional = "" if argument.required or argument.many else ":"
        yield shlex.quote(f"{place}:{optional}{_zsh_word(argument.metavar)}:{_zsh_action(argument)}")


def _zsh_word(text: str) -> str:
    return re.sub(r"([\\\[\]:])", r"\\\1", text)


def _zsh_action(argument: Argument) -> str:
    if argument.kind in _LISTS:
        return " ".join(["{_bridge_values", _LISTS[argument.kind], *_choices(argument)]) + "}"
    return {Kind.CHOICE: f"({' '.join(argument.choices)})", Kind.FILE: "_files"}.get(argument.kind, " ")


# ---- fish

_FISH = r"""# fish completions for bridge; made by: bridge completions fish
function __bridge_in  # a command: whether it is the one that is being typed
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test "$words[2]" = $argv[1]
end

function __bridge_at  # a command, how to compare, a place, the flags with values: whether an argument belongs there
    __bridge_in $argv[1]; or return 1
    set -l words (commandline -opc)
    set -l at 0
    set -l skip 0
    for word in $words[3..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word $argv[4..-1]
            set skip 1
        else if not string match -q -- '-?*' $word
            set at (math $at + 1)
        end
    end
    test $at $argv[2] $argv[3]
end

complete -c bridge -e
complete -c bridge -f
complete -c bridge -n 'test (count (commandline -opc)) -eq 1' -l help -d 'list the commands'
complete -c bridge -n 'test (count (commandline -opc)) -eq 1' -l version -d 'print the version'
LINES
"""


def fish(commands: Sequence[Command]) -> str:
    """Write the script for fish 3."""
    return _fill(_FISH, LINES="\n".join(line for command in commands for line in _fish_lines(command)))


def _fish_lines(command: Command) -> Iterator[str]:
    first = "'test (count (commandline -opc)) -eq 1'"
    yield f"complete -c bridge -n {first} -a {command.name} -d {_fish_quote(command.help)}"
    for option in command.options:
        flags = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in option.flags)
        value = f" {_fish_values(option, '-x', '-r -F')}" if option.metavar else ""
        yield f"complete -c bridge -n '__bridge_in {command.name}' {flags}{value} -d {_fish_quote(option.help)}"
    for at, argument in enumerate(command.positionals):
        how = "-ge" if argument.many else "-eq"
        where = " ".join(["__bridge_at", command.name, how, str(at), *command.valued])
        values = _fish_values(argument, "", "-F")
        if values:
            yield f"complete -c bridge -n '{where}' {values}"


def _fish_values(argument: Argument, no_files: str, files: str) -> str:
    if argument.kind is Kind.FILE:
        return files
    asked = [f"(bridge completions {_LISTS[argument.kind]} 2>/dev/null)"] if argument.kind in _LISTS else []
    values = " ".join([*asked, *_choices(argument)])
    return f"{no_files} -a {_fish_quote(values)}".strip() if values else no_files


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fill(template: str, **parts: str) -> str:
    """Put the parts into their places, each named once."""
    return re.sub(r"\b(" + "|".join(parts) + r")\b", lambda place: parts[place[1]], template)


SCRIPTS: dict[str, Callable[[Sequence[Command]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
