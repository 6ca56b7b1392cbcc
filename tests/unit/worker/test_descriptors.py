"""Descriptors of gRPC services, without a service."""

import sys
from subprocess import run

CODE = """
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from flowmesh.executors.rpc.descriptors import methods_in

names = "any api duration empty field_mask source_context struct timestamp type wrappers".split()
file = FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
file.dependency.extend(f"google/protobuf/{name}.proto" for name in names)
method = file.service.add(name="S").method.add(name="M")
method.input_type = method.output_type = ".google.protobuf.Empty"
methods = methods_in(FileDescriptorSet(file=[file]).SerializeToString())
print(methods.method("a.S/M").decoded(b""))
"""


def test_files_of_protobuf_itself_need_not_be_given() -> None:
    """Whatever of them the process has happened to import before."""
    ended = run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("{}\n", "")
