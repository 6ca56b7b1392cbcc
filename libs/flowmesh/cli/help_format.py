"""The layout of a command's help: two columns, as in the help of groups."""

from textwrap import fill, wrap
from typing import TYPE_CHECKING, Any

from cyclopts.help.formatters.plain import PlainFormatter

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

WIDTH = 80
NAMES_WIDTH_MAX = 26
TITLES = {"Parameters": "Options"}


class Columns(PlainFormatter):
    """Writes names on the left, and what they mean on the right."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        if not panel.entries:
            return
        title = str(panel.title)
        lines = [TITLES.get(title, title)]
        names = [" ".join(entry.display_labels_with_metavar) for entry in panel.entries]
        width = min(max(map(len, names)), NAMES_WIDTH_MAX)
        for name, entry in zip(names, panel.entries, strict=True):
            text = wrap(_meaning(entry, console), WIDTH - width - 4, break_on_hyphens=False)
            if len(name) > width:
                lines.append(f"  {name}")
            else:
                lines.append(f"  {name:<{width}}  {text.pop(0) if text else ''}".rstrip())
            lines += [" " * (width + 4) + each for each in text]
        self._print_plain(console, "\n".join((*lines, "")))

    def render_description(
        self, console: "Console", options: "ConsoleOptions", description: Any
    ) -> None:
        text = _text(description, console).strip()
        for paragraph in text.split("\n\n"):
            is_list = any(line.startswith((" ", "- ")) for line in paragraph.splitlines())
            shown = paragraph if is_list else fill(" ".join(paragraph.split()), WIDTH)
            self._print_plain(console, f"{shown}\n")


def _meaning(entry: "HelpEntry", console: "Console") -> str:
    description = " ".join(_text(entry.description, console).split())
    choices = [choice for choice in entry.choices or () if choice not in description]
    listed = f"[{', '.join(entry.choices or ())}]" if choices else ""
    default = f"[default: {entry.default}]" if entry.default is not None else ""
    return " ".join(part for part in (description, listed, default) if part)


def _text(renderable: Any, console: "Console") -> str:
    """Return a text of rich without its styles."""
    segments = console.render(renderable) if renderable else ()
    return "".join(segment.text for segment in segments)
