"""The scripts of shells, which ask the command for each completion."""

import os
from pathlib import Path
from typing import Literal

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")

_BASH = r"""# Completion of flowmesh for bash.
_flowmesh() {
  local current="${COMP_WORDS[COMP_CWORD]}" line
  COMPREPLY=()
  [[ "$current" == "=" ]] && current=""
  while IFS= read -r line; do
    if [[ "$line" == ":files" ]]; then
      compopt -o filenames
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
    else
      line="${line%%$'\t'*}"
      [[ "$line" == */ ]] && compopt -o nospace
      COMPREPLY+=("$line")
    fi
  done < <(flowmesh __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _flowmesh flowmesh
"""
_ZSH = r"""#compdef flowmesh
# Completion of flowmesh for zsh.
_flowmesh() {
  local -a found
  local line files=0
  while IFS= read -r line; do
    if [[ "$line" == ":files" ]]; then
      files=1
    else
      found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    fi
  done < <(flowmesh __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  (( ${#found} )) && _describe flowmesh found
  (( files )) && _files
}
compdef _flowmesh flowmesh
"""
_FISH = r"""# Completion of flowmesh for fish.
function __flowmesh_complete
    set -l words (commandline -opc)
    for line in (flowmesh __complete $words[2..] (commandline -ct | string collect -a) 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c flowmesh -f -a '(__flowmesh_complete)'
"""
SCRIPTS: dict[Shell, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_PLACES: dict[Shell, str] = {
    "bash": ".local/share/bash-completion/completions/flowmesh",
    "zsh": ".zsh/completions/_flowmesh",
    "fish": ".config/fish/completions/flowmesh.fish",
}
_ZSH_START = """
# Completion of flowmesh.
fpath=(~/.zsh/completions $fpath)
autoload -Uz compinit && compinit
"""


def install(shell: Shell) -> Path:
    """Write the script of a shell to the folder that it reads; return the file.

    zsh reads its folder after two lines in `.zshrc`, which are added once.
    """
    place = Path.home() / _PLACES[shell]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(SCRIPTS[shell])
    if shell == "zsh":
        _extend(Path(os.environ.get("ZDOTDIR", str(Path.home()))) / ".zshrc", _ZSH_START)
    return place


def _extend(file: Path, lines: str) -> None:
    if not file.exists() or lines not in file.read_text():
        with file.open("a") as opened:
            opened.write(lines)
