"""The collector of OTLP that settings and variables name."""

import pytest

from flowmesh.telemetry.export import HTTP, Collector, collector_of, endpoint_of

HOST = "http://collector:4318"


@pytest.mark.parametrize(
    ("configured", "protocol", "variables", "expected"),
    [
        ("", "", {}, None),
        ("c:4317", "", {}, Collector("c:4317", "grpc")),
        ("c:4318", HTTP, {}, Collector("http://c:4318/v1/traces", HTTP)),
        ("https://c/otlp/", HTTP, {}, Collector("https://c/otlp/v1/traces", HTTP)),
        ("c:4317", "", {"OTEL_EXPORTER_OTLP_PROTOCOL": HTTP}, Collector("c:4317", "grpc")),
        (
            "",
            "",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": HOST, "OTEL_EXPORTER_OTLP_PROTOCOL": HTTP},
            Collector(f"{HOST}/v1/traces", HTTP),
        ),
        (
            "",
            HTTP,
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{HOST}/spans",
                "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b, x=1",
            },
            Collector(f"{HOST}/spans", HTTP, {"api-key": "a b", "x": "1"}),
        ),
        (
            "",
            "",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": HOST, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            None,
        ),
        ("c:4318", HTTP, {"OTEL_SDK_DISABLED": "true"}, None),
        ("c:4318", HTTP, {"OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_the_collector_of_traces(
    configured: str, protocol: str, variables: dict[str, str], expected: Collector | None
) -> None:
    """HTTP adds a path to a base; a setting precedes variables."""
    assert collector_of(configured, protocol, "TRACES", variables) == expected


def test_workers_export_over_grpc_only() -> None:
    """Another protocol of the variables is no error, and exports nothing."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": HOST}
    assert endpoint_of("", "TRACES", variables) == HOST
    assert endpoint_of("", "TRACES", variables | {"OTEL_EXPORTER_OTLP_PROTOCOL": HTTP}) == ""
