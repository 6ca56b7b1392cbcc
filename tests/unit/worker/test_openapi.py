"""Operations of OpenAPI documents as requests."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.serverless.openapi import operation_of

URL = "https://docs.example/api/v1.json"


def parameter(name: str, place: str, **more: Json) -> Json:
    return {"name": name, "in": place, **more}


def document(operation: Json, path: str = "/pets", **more: Json) -> Json:
    return {"paths": {path: {"get": {"operationId": "op", **operation}}}, **more}


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({}, "https://docs.example/pets"),
        ({"servers": [{"url": "v2/"}]}, "https://docs.example/api/v2/pets"),
        ({"servers": [{"url": "http://a"}, {"url": "http://b"}]}, "http://a/pets"),
        ({"servers": [{"url": "{s}://a", "variables": {"s": {"default": "http"}}}]},
         "http://a/pets"),
        ({"swagger": "2.0", "host": "a", "basePath": "/v2"}, "https://a/v2/pets"),
        ({"swagger": "2.0", "host": "a", "schemes": ["http"]}, "http://a/pets"),
        ({"swagger": "2.0", "basePath": "/v2"}, "https://docs.example/v2/pets"),
    ],
)  # fmt: skip
def test_the_address_is_that_of_the_first_server(more: Json, url: str) -> None:
    """One that is relative is so to the address of the document."""
    assert operation_of(document({}, **more), URL, "op").request({})["uri"] == url


def test_parameters_go_where_the_document_says() -> None:
    """A list is repeated in a query, and joined by commas elsewhere; null is left out."""
    parameters = [
        parameter("id", "path"), parameter("tag", "query"), parameter("x-a", "header"),
        parameter("none", "query"),
    ]  # fmt: skip
    operation = operation_of(document({"parameters": parameters}, path="/pets/{id}"), URL, "op")
    given = {"id": ["a/b", 1], "tag": ["x y", True], "x-a": [1, 2], "none": None}
    request = operation.request(given)
    assert request["uri"] == "https://docs.example/pets/a%2Fb%2C1?tag=x%20y&tag=true"
    assert request["headers"] == {"x-a": "1,2"}


def test_fields_of_a_form_are_the_body() -> None:
    """Of Swagger 2, encoded as forms are."""
    fields = [parameter("a", "formData"), parameter("b", "formData")]
    found = operation_of(document({"parameters": fields}, swagger="2.0"), URL, "op")
    request = found.request({"a": "x y", "b": 2})
    assert request["body"] == "a=x+y&b=2"
    assert request["headers"] == {"Content-Type": "application/x-www-form-urlencoded"}


def test_a_parameter_in_a_cookie_is_refused() -> None:
    """It is not sent elsewhere."""
    found = operation_of(document({"parameters": [parameter("a", "cookie")]}), URL, "op")
    with pytest.raises(TaskFailure, match="is in a cookie"):
        found.request({"a": 1})
