"""Write docs/grpc.md from the image that buf builds, which has the comments of the contracts."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2 as pb

from tools.pages import markdown

ROOT = Path(__file__).resolve().parents[2]

# Field numbers of descriptor.proto; paths to comments consist of them.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 4, 5, 6
SERVICE_METHOD, MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM, ENUM_VALUE = 2, 2, 3, 4, 2

# Beginnings of comment lines that the page shows as a list.
POINTS = ("Written:", "Wakes:", "Repeating ", "With `")

Field = pb.FieldDescriptorProto
SCALARS = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in Field.Type.items()
    if name not in ("TYPE_MESSAGE", "TYPE_ENUM", "TYPE_GROUP")
}


class Comments:
    """The leading comments of one file by their path in it."""

    def __init__(self, file: pb.FileDescriptorProto) -> None:
        self._texts = {
            tuple(location.path): location.leading_comments
            for location in file.source_code_info.location
        }

    def lines(self, *path: int) -> list[str]:
        text = self._texts.get(path, "")
        return [line.removeprefix(" ").rstrip() for line in text.strip("\n").split("\n")]

    def line(self, *path: int) -> str:
        return " ".join(" ".join(self.lines(*path)).split())


def image() -> pb.FileDescriptorSet:
    """The contracts as buf sees them."""
    buf = Path(sys.executable).parent / "buf"
    built = subprocess.run(
        [buf, "build", "--as-file-descriptor-set", "-o", "-"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return pb.FileDescriptorSet.FromString(built.stdout)


def page() -> str:
    files = [file for file in image().file if file.package.startswith("flowmesh.")]
    files.sort(key=lambda file: (not file.service, file.name))
    lines = markdown.title("gRPC", source="the comments in `protos/`")
    lines += [
        "Send every call to port 7450 of `flowmesh dev`, or of the gateway if the services run as",
        "separate processes. Server reflection lists the services.",
        "A message has at most 9 MiB, which leaves room for a definition of 8 MiB.",
        "An empty `namespace` is `default`.",
        "The reasons are explained in [errors.md](errors.md).",
        "",
    ]
    for file in files:
        for index, service in enumerate(file.service):
            lines += _service(file, service, index)
    lines += ["## Messages", ""]
    for file in sorted(files, key=lambda file: file.name):
        lines += _types(file)
    return markdown.join(lines)


def _service(
    file: pb.FileDescriptorProto, service: pb.ServiceDescriptorProto, index: int
) -> Iterator[str]:
    comments = Comments(file)
    yield from (f"## {service.name}", "", markdown.code(f"{file.package}.{service.name}"), "")
    yield from _prose(comments.lines(FILE_SERVICE, index))
    for number, method in enumerate(service.method):
        request = _stream(method.client_streaming) + _link(method.input_type)
        response = _stream(method.server_streaming) + _link(method.output_type)
        yield from (f"### {method.name}", "", f"{request} → {response}", "")
        yield from _prose(comments.lines(FILE_SERVICE, index, SERVICE_METHOD, number))


def _stream(streaming: bool) -> str:
    return "stream of " if streaming else ""


def _prose(comment: list[str]) -> Iterator[str]:
    """Return a comment as Markdown; indented lines, such as reasons, become preformatted text."""
    preformatted = False
    for line in comment:
        indented = line.startswith("  ")
        if indented != preformatted and (line or not preformatted):
            yield "```" if preformatted else "```text"
            preformatted = indented
        if preformatted:
            yield line.removeprefix("  ")
        else:
            yield f"- {line}" if line.startswith(POINTS) else line
    if preformatted:
        yield "```"
    yield ""


def _types(file: pb.FileDescriptorProto) -> Iterator[str]:
    comments = Comments(file)
    for index, message in enumerate(file.message_type):
        title = _title(f".{file.package}.{message.name}")
        yield from _message(comments, message, title, (FILE_MESSAGE, index))
    for index, enum in enumerate(file.enum_type):
        title = _title(f".{file.package}.{enum.name}")
        yield from _enum(comments, enum, title, (FILE_ENUM, index))


def _message(
    comments: Comments, message: pb.DescriptorProto, name: str, path: tuple[int, ...]
) -> Iterator[str]:
    yield from (f"### {name}", "")
    if text := comments.line(*path):
        yield from (text, "")
    maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    rows = []
    for number, field in enumerate(message.field):
        kind = _kind(field, maps)
        if field.HasField("oneof_index") and not field.proto3_optional:
            kind += f" (one of {message.oneof_decl[field.oneof_index].name})"
        meaning = comments.line(*path, MESSAGE_FIELD, number)
        rows.append((markdown.code(field.name), kind, meaning))
    yield from markdown.table(("field", "type", "meaning"), rows)
    for index, nested in enumerate(message.nested_type):
        if nested.name not in maps:
            inner = (*path, MESSAGE_NESTED, index)
            yield from _message(comments, nested, f"{name}.{nested.name}", inner)
    for index, enum in enumerate(message.enum_type):
        yield from _enum(comments, enum, f"{name}.{enum.name}", (*path, MESSAGE_ENUM, index))


def _enum(
    comments: Comments, enum: pb.EnumDescriptorProto, name: str, path: tuple[int, ...]
) -> Iterator[str]:
    yield from (f"### {name}", "")
    if text := comments.line(*path):
        yield from (text, "")
    rows = (
        (markdown.code(value.name), str(value.number), comments.line(*path, ENUM_VALUE, index))
        for index, value in enumerate(enum.value)
    )
    yield from markdown.table(("value", "number", "meaning"), rows)


def _kind(field: Field, maps: dict[str, pb.DescriptorProto]) -> str:
    entry = maps.get(field.type_name.rsplit(".", 1)[-1])
    if entry is not None:
        key, value = entry.field
        return f"map of {_kind(key, {})} to {_kind(value, {})}"
    kind = SCALARS.get(field.type) or _link(field.type_name)
    if field.label == Field.LABEL_REPEATED:
        return f"list of {kind}"
    return f"optional {kind}" if field.proto3_optional else kind


def _link(type_name: str) -> str:
    """Return a link to a message or enum on the page; foreign names stay plain."""
    if not type_name.startswith(".flowmesh."):
        return markdown.code(type_name.removeprefix("."))
    name = _title(type_name)
    return f"[{name.split('.', 1)[1]}](#{name.lower().replace('.', '')})"


def _title(type_name: str) -> str:
    """Return `worker.Task` for `.flowmesh.api.worker.v1.Task`; areas may share names."""
    area, _version, *names = type_name.split(".")[3:]
    return ".".join([area, *names])
