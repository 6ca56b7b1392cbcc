"""The words of a command line: groups, short forms, plurals, and suggestions for other words."""

import re

import pytest

from flowmesh.cli import option_names
from flowmesh.cli.commands import short_forms, spelling, table
from flowmesh.cli.commands.entries import Command
from flowmesh.cli.completion.options import signature
from tests.unit.cli.conftest import Run

TOP_LEVEL_MAX = 45


def test_the_top_level_is_short() -> None:
    """A person reads it at a glance; everything else is in a group."""
    assert len(table.ROOT.entries) <= TOP_LEVEL_MAX


def test_every_command_is_found_by_its_path() -> None:
    """And by no other: a short form hides no command."""
    for path, command in table.commands():
        line = spelling.read([*path, "--json"])
        assert (line.path, line.entry, line.arguments) == (path, command, ("--json",))


@pytest.mark.parametrize("short", sorted(short_forms.SHORT_FORMS), ids=" ".join)
def test_short_forms_lead_to_an_entry(short: table.Path) -> None:
    """Each names a command or a group of the table."""
    assert spelling.read([*short, "--help"]).path == short_forms.SHORT_FORMS[short]


@pytest.mark.parametrize(
    ("words", "path", "arguments"),
    [
        ("cancel exec-1", "execution cancel", "exec-1"),
        ("-n pay cancel exec-1", "execution cancel", "-n pay exec-1"),
        ("keys create ci", "key create", "ci"),
        ("get executions", "get execution", ""),
        ("list task", "list tasks", ""),
        ("list triggers", "trigger list", ""),
        ("list trigger --json", "trigger list", "--json"),
        ("list companies", "identity company list", ""),
        ("get queue orders", "queue show", "orders"),
        ("executions", "execution list", ""),
        ("executions -n pay", "execution list", "-n pay"),
        ("executions cancel a", "execution cancel", "a"),
        ("queues", "dispatch queues", ""),
        ("queues list", "queue list", ""),
        ("services", "service list", ""),
        ("help start", "start", "--help"),
        ("diagnose saga a", "execution diagnose", "a"),
        ("organizations delete a", "identity organization delete", "a"),
        ("log exec-1", "execution logs", "exec-1"),
    ],
)
def test_words_lead_to_a_command(words: str, path: str, arguments: str) -> None:
    """Former and guessed spellings work, with the common options anywhere."""
    line = spelling.read(words.split())
    assert isinstance(line.entry, Command)
    assert (" ".join(line.path), " ".join(line.arguments)) == (path, arguments)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("canel exec-1", "`flowmesh cancel`"),
        ("exection list", "`flowmesh execution`"),
        ("run order", "`flowmesh start WORKFLOW` or `flowmesh app run FILE`"),
        ("ps", "`flowmesh list executions`"),
        ("list trigers", "`flowmesh list triggers`"),
        ("trigger ls", "`flowmesh trigger list`"),
        ("execution kill x", "`flowmesh execution cancel` or `flowmesh execution terminate`"),
        ("queue send orders", "`flowmesh queue publish`"),
        ("app delpoy", "`flowmesh app deploy`"),
        ("diagnose", "`flowmesh diagnose messages` or `flowmesh diagnose saga`"),
        ("version", "`flowmesh --version`"),
    ],
)
async def test_other_words_get_a_suggestion(flowmesh: Run, words: str, meant: str) -> None:
    """In one line, with exit code 2."""
    outcome = await flowmesh(*words.split())
    assert (outcome.code, outcome.out) == (2, "")
    assert f"did you mean {meant}" in outcome.err
    assert outcome.err.count("\n") == 1


async def test_words_without_a_similar_command_get_none(flowmesh: Run) -> None:
    """And an option is not taken for a command."""
    assert "did you mean" not in (await flowmesh("xylophone")).err
    assert "has no option --jsn" in (await flowmesh("--jsn")).err
    assert "Did you mean --input?" in (await flowmesh("start", "order", "--inptu", "1")).err


async def test_groups_print_their_commands(flowmesh: Run) -> None:
    """With or without --help."""
    for words in ((), ("--help",), ("execution",), ("execution", "-h"), ("stream", "group")):
        outcome = await flowmesh(*words)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith("Usage: flowmesh")
    assert "  parked " in outcome.out


async def test_former_names_of_options_are_the_present_ones(flowmesh: Run) -> None:
    """Each former name leads to an option that its command has."""
    for path, names in option_names.FORMER.items():
        present = {name for each in signature(path).options for name in each.names}
        assert set(names.values()) <= present
    words = ("bulk", "start", "rerun", "status = failed", "--newest-version", "--preview")
    assert "Unknown option" not in (await flowmesh(*words)).err


# What an option is for, by its help, and its one name.
NAMED = {
    r"^Reason,": "--reason",
    r"executions started after this time": "--since",
    r"executions started before this time": "--until",
    r"^Maximum (number|length) of (a |the )?(list|messages|events|notifications)(?!; 0 is 100)": (
        "--limit"
    ),
    r"without (starting|registering)|^Only (count|show) the": "--dry-run",
}


def test_one_purpose_has_one_name_in_all_commands() -> None:
    """Options of the same help have the same name, too."""
    texts: dict[str, set[str]] = {}
    for path, _ in table.commands():
        for option in signature(path).options:
            texts.setdefault(option.help, set()).add(option.names[0])
    wrong = [
        (text, names)
        for text, names in texts.items()
        for purpose, name in NAMED.items()
        if re.search(purpose, text) and names != {name}
    ]
    assert not wrong
    assert len(texts) > 200
