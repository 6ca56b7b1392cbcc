"""Access rules of the contracts, applied to requests."""

import importlib
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from flowmesh.access import PERMISSIONS, Principal, Role, Rule, RuleMissing, rule_of, rule_of_method
from flowmesh.access.principal import EVERY_BIT
from flowmesh.access.roles import REVEAL_NAME
from flowmesh.api.common.v1 import access_pb2
from flowmesh.api.definition.v1 import definition_service_pb2
from flowmesh.api.execution.v1 import execution_service_pb2, limits_service_pb2
from flowmesh.api.worker.v1 import worker_service_pb2
from flowmesh.errors import Forbidden, NotFound

GENERATED = Path(__file__).resolve().parents[3] / "gen" / "python"
DEFINITIONS = "/flowmesh.api.definition.v1.DefinitionService"
EXECUTIONS = "/flowmesh.api.execution.v1.ExecutionService"


def every_method() -> list[MethodDescriptor]:
    """Return the methods of all contracts."""
    found = []
    for file in sorted(GENERATED.glob("flowmesh/api/*/v1/*_service_pb2.py")):
        name = file.relative_to(GENERATED).with_suffix("").as_posix().replace("/", ".")
        services = importlib.import_module(name).DESCRIPTOR.services_by_name.values()
        found += [method for service in services for method in service.methods]
    return found


METHODS = every_method()


def rule(path: str) -> Rule:
    found = rule_of(path)
    assert found is not None
    return found


def principal(role: Role, *namespaces: str) -> Principal:
    bits = dict.fromkeys(namespaces, PERMISSIONS[role])
    return Principal(id="usr_1", kind="user", name="ada@example.com", namespaces=bits)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_every_method_states_its_rule(method: MethodDescriptor) -> None:
    """A method without `access`, or without a namespace where one is needed, is not served."""
    assert rule_of_method(method).group


def test_every_id_of_a_request_states_its_kind() -> None:
    """The tests across tenants find each identifier by its option."""
    missing: set[str] = set()
    seen: set[str] = set()

    def visit(message: Descriptor) -> None:
        if message.full_name in seen or not message.full_name.startswith("flowmesh."):
            return
        seen.add(message.full_name)
        for field in message.fields:
            named = field.name == "id" or field.name.endswith(("_id", "_ids"))
            is_id = named and field.type == FieldDescriptor.TYPE_STRING
            if is_id and not field.GetOptions().Extensions[access_pb2.id_of]:
                missing.add(f"{message.full_name}.{field.name}")
            if field.message_type is not None:
                visit(field.message_type)

    for method in METHODS:
        visit(method.input_type)
    assert missing == set()


def test_a_method_of_the_contracts_without_a_rule_is_refused() -> None:
    """The error names the method and the option."""
    health = importlib.import_module("grpc_health.v1.health_pb2").DESCRIPTOR
    method = health.services_by_name["Health"].methods_by_name["Check"]
    with pytest.raises(RuleMissing, match=r"Health.Check has no `access` option"):
        rule_of_method(method)


def test_a_viewer_reads_and_does_not_start() -> None:
    """The refusal names the method, the roles and the namespace."""
    viewer = principal(Role.VIEWER, "default")
    request = execution_service_pb2.GetExecutionRequest(namespace="default")
    rule(f"{EXECUTIONS}/GetExecution").check(viewer, request)
    start = execution_service_pb2.StartExecutionRequest()
    with pytest.raises(Forbidden) as refused:
        rule(f"{EXECUTIONS}/StartExecution").check(viewer, start)
    assert refused.value.reason == "ROLE_REQUIRED"
    assert "editor or admin or owner in namespace `default`" in refused.value.message


def test_a_foreign_namespace_is_missing() -> None:
    """The answer is that of a namespace that never existed."""
    editor = principal(Role.EDITOR, "a")
    for namespace in ("b", "never-existed", "default"):
        request = execution_service_pb2.GetExecutionRequest(namespace=namespace)
        with pytest.raises(NotFound) as refused:
            rule(f"{EXECUTIONS}/GetExecution").check(editor, request)
        assert refused.value.reason == "NAMESPACE_NOT_FOUND"
        assert refused.value.message.endswith("its namespace is `a`")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_the_only_namespace_is_set_in_requests_of_all_methods(method: MethodDescriptor) -> None:
    """So that no handler sees an empty one. Methods of the whole installation refuse the caller."""
    request = GetMessageClass(method.input_type)()
    found = rule_of_method(method)
    if not found.bits or found.is_for_services or ("namespace",) not in found.namespaces:
        return
    if found.scope == access_pb2.ACCESS_SCOPE_CLUSTER:
        return
    caller = Principal("key_1", "key", "ci", namespaces={"a": EVERY_BIT})
    found.check(caller, request)
    assert getattr(request, "namespace") == "a"  # noqa: B009 not of all messages


def test_a_request_without_a_namespace_gets_the_only_one_of_its_caller() -> None:
    """Not that of a caller of `default` or of several, whose refusal names them."""
    get = rule(f"{EXECUTIONS}/GetExecution")
    for namespaces, found in ((["a"], "a"), (["a", "default"], ""), (["default"], "")):
        request = execution_service_pb2.GetExecutionRequest()
        get.check(principal(Role.EDITOR, *namespaces), request)
        assert request.namespace == found
    with pytest.raises(NotFound) as refused:
        get.check(principal(Role.EDITOR, "b", "a"), execution_service_pb2.GetExecutionRequest())
    assert refused.value.message.endswith("for this user; its namespaces are `a`, `b`")
    work = worker_service_pb2.WorkRequest(hello=worker_service_pb2.WorkHello())
    rule("/flowmesh.api.worker.v1.WorkerService/Work").check(principal(Role.WORKER, "a"), work)
    assert work.hello.namespace == "a"


def test_each_frame_of_a_session_is_checked() -> None:
    """Every start and every watch of a frame names a namespace of the caller."""
    session = rule(f"{EXECUTIONS}/Session")
    editor = principal(Role.EDITOR, "a")
    frame = execution_service_pb2.SessionRequest()
    frame.starts.add().start.namespace = "a"
    session.check(editor, frame, first=False)
    frame.watches.add(namespace="b")
    with pytest.raises(NotFound):
        session.check(editor, frame, first=False)


def test_a_nested_namespace_is_checked() -> None:
    """The namespace of a limit stands in the limit."""
    set_limit = rule("/flowmesh.api.execution.v1.LimitService/SetLimit")
    request = limits_service_pb2.SetLimitRequest()
    request.limit.namespace = "b"
    with pytest.raises(NotFound):
        set_limit.check(principal(Role.OWNER, "a"), request)


def test_the_actor_is_the_caller() -> None:
    """An editor cannot name another actor, nor permissions it was not given."""
    request = execution_service_pb2.StartExecutionRequest(
        namespace="a", actor="root", permissions=["payments"]
    )
    rule(f"{EXECUTIONS}/StartExecution").attribute(principal(Role.EDITOR, "a"), request)
    assert request.actor == "ada@example.com"
    assert list(request.permissions) == []


def test_an_admin_acts_for_others() -> None:
    """A stated actor is kept; without one, the actor is the admin."""
    start = rule(f"{EXECUTIONS}/StartExecution")
    request = execution_service_pb2.StartExecutionRequest(
        namespace="a", actor="bob", permissions=["payments"]
    )
    start.attribute(principal(Role.ADMIN, "a"), request)
    assert (request.actor, list(request.permissions)) == ("bob", ["payments"])
    silent = execution_service_pb2.StartExecutionRequest(namespace="a")
    start.attribute(principal(Role.ADMIN, "a"), silent)
    assert silent.actor == "ada@example.com"


def test_sensitive_values_are_shown_with_the_permission_for_all_places() -> None:
    """Of the named namespace, or of each one of a caller that names none."""
    lists = rule("/flowmesh.api.execution.v1.ExecutionService/GetExecution")

    def shown(caller: Principal, namespace: str) -> bool:
        request = execution_service_pb2.GetExecutionRequest(namespace=namespace)
        return lists.reveals(caller, request)

    mixed = {"a": PERMISSIONS[Role.ADMIN], "b": PERMISSIONS[Role.EDITOR]}
    caller = Principal("usr_1", "user", "ada", namespaces=mixed)
    assert [shown(caller, each) for each in ("a", "b", "c", "")] == [True, False, False, False]
    assert not lists.reveals(caller, None)
    assert lists.reveals(principal(Role.ADMIN, "a", "b"), None)
    assert not lists.reveals(principal(Role.ADMIN), None)
    key = Principal("key_1", "key", "ci", namespaces=mixed, permissions=(REVEAL_NAME,))
    everywhere = Principal("usr_1", "user", "ada", everywhere=PERMISSIONS[Role.ADMIN])
    assert shown(key, "b")
    assert shown(everywhere, "b")


def test_methods_of_services_are_closed_to_users() -> None:
    """The owner of everything is refused too."""
    attach = rule("/flowmesh.api.worker.v1.DispatchService/Attach")
    with pytest.raises(Forbidden) as refused:
        attach.check(Principal("usr_1", "user", "ada", everywhere=0xFFFF), None)
    assert refused.value.reason == "SERVICES_ONLY"


def test_fields_of_services_are_closed_to_users() -> None:
    """The parent, the signals and the plan of a start are refused, alone and in a session."""
    editor = principal(Role.EDITOR, "a")
    start = rule(f"{EXECUTIONS}/StartExecution")
    for fields in ({"plan_digest": "0" * 64}, {"link": {"parent_id": "exec-1"}}):
        request = execution_service_pb2.StartExecutionRequest(namespace="a", **fields)
        with pytest.raises(Forbidden) as refused:
            start.check(editor, request)
        assert refused.value.reason == "SERVICES_ONLY"
        frame = execution_service_pb2.SessionRequest()
        frame.starts.add().start.CopyFrom(request)
        with pytest.raises(Forbidden):
            rule(f"{EXECUTIONS}/Session").check(editor, frame)


def test_users_act_in_the_name_of_no_owner() -> None:
    """Not even admins: they would change what a cluster manages, unseen by it."""
    for method in ("Apply", "DeleteWorkflow", "DeleteTask"):
        request = getattr(definition_service_pb2, f"{method}Request")(
            namespace="a", owner="kubernetes/c1/a"
        )
        with pytest.raises(Forbidden) as refused:
            rule(f"{DEFINITIONS}/{method}").check(principal(Role.ADMIN, "a"), request)
        assert refused.value.reason == "SERVICES_ONLY"
