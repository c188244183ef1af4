"""Requests to AWS as they were made: who asked, for which operation, with which parameters.

The key's id says who; which operation it is, AWS's own service models say (botocore's), by
protocol: a header, a word of the body, or the method and the path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit
from xml.etree import ElementTree as ET

import botocore.session
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import RpcV2CBORParser

_SIGNED: Final = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_CBOR: Final = re.compile(r"/service/(\w+)/operation/(\w+)")


class UnknownRequestError(Exception):
    """A request that no operation of its service's model is."""


@dataclass(frozen=True)
class Recorded:
    """One request, and how it was answered.

    Attributes:
        key: the id of the key that signed it; empty for one that nobody signed.
        region: for which it was signed.
        service: for which it was signed, by its signing name: ``monitoring`` for CloudWatch.
        headers: with names in lower case.

    """

    key: str
    region: str
    service: str
    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int
    answer: bytes = field(repr=False)

    @staticmethod
    def of(request: BaseHTTPRequestHandler, body: bytes, status: int, answer: bytes) -> Recorded:
        """What a server knows of a request that it has answered.

        Of bodies and answers only what is no object's bytes: nobody asks for those.
        """
        lower = {name.lower(): value for name, value in request.headers.items()}
        signed = _SIGNED.match(lower.get("authorization", ""))
        key, region, service = signed.groups() if signed else ("", "", "")
        whole = service != "s3" or request.command == "POST"
        return Recorded(
            key,
            region,
            service,
            request.command,
            request.path,
            lower,
            body if whole else b"",
            status,
            answer if whole else b"",
        )

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> Mapping[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True)
class Asked:
    """A request as an operation of a service, with its parameters as the model names them."""

    request: Recorded
    operation: str
    told: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Such as ``s3:GetObject``: the signing name, and the operation's."""
        return f"{self.request.service}:{self.operation}"

    @property
    def answer(self) -> Mapping[str, Any]:
        """The answer of a service that speaks JSON."""
        found: Mapping[str, Any] = json.loads(self.request.answer or b"{}")
        return found


def asked(request: Recorded) -> Asked:
    """The operation that a request is. Raises UnknownRequestError."""
    headers, model = request.headers, _model(request.service)
    if target := headers.get("x-amz-target"):
        operation = target.rpartition(".")[2]
        return Asked(request, operation, json.loads(request.body or b"{}"))
    if found := _CBOR.fullmatch(request.path):
        parser = RpcV2CBORParser()
        stream = parser.get_peekable_stream_from_bytes(request.body)
        return Asked(request, found[2], parser.parse_data_item(stream) if request.body else {})
    if model.metadata["protocol"] in {"query", "ec2"}:
        told = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        return Asked(request, told.pop("Action"), told)
    return _by_path(request, model)


def _by_path(request: Recorded, model: ServiceModel) -> Asked:
    """The operation of the method and path, the one that asks for most where several fit."""
    told: dict[str, Any] | None = None
    for form in _forms(request.service):  # those that ask for most come first
        if (told := form.told(request)) is not None:
            break
    else:
        raise UnknownRequestError(f"{request.service}: {request.method} {request.target}")
    if form.operation == "DeleteObjects":
        told["Keys"] = [*_keys(request.body)]
    return Asked(request, form.operation, told)


@dataclass(frozen=True)
class _Form:
    """How an operation looks that is told by method and path.

    ``flags`` are what the model writes into the query, ``query`` and ``headers`` the parameters
    that it asks for there; all of them must be in a request for it to be this operation.
    """

    operation: str
    method: str
    path: re.Pattern[str]
    flags: Mapping[str, str]
    query: AbstractSet[str]
    headers: AbstractSet[str]
    members: Mapping[str, tuple[str, str]]

    def told(self, request: Recorded) -> dict[str, Any] | None:
        """The parameters in a request; None where it is another operation."""
        found = self.path.fullmatch(request.path)
        if self.method != request.method or not found:
            return None
        flags, query, headers = self.flags.items(), request.query, request.headers
        if not (
            flags <= query.items() and self.query <= set(query) and self.headers <= set(headers)
        ):
            return None
        given: dict[str, Mapping[str, str]] = {
            "uri": found.groupdict(),
            "querystring": query,
            "header": headers,
        }
        return {
            name: given[where][key]
            for name, (where, key) in self.members.items()
            if where in given and key in given[where]
        }


@cache
def _forms(service: str) -> Sequence[_Form]:
    found = [_form(_model(service).operation_model(n)) for n in _model(service).operation_names]
    return sorted(found, key=lambda it: -len(it.flags) - len(it.query) - len(it.headers))


def _form(operation: OperationModel) -> _Form:
    path, _, query = operation.http["requestUri"].partition("?")
    shape = operation.input_shape
    members = {}
    for name, member in shape.members.items() if shape else ():
        where, key = member.serialization.get("location"), member.serialization.get("name", name)
        members[name] = (str(where), {"header": key.lower(), "uri": _group(key)}.get(where, key))
    asked_for = [members[name] for name in (shape.required_members if shape else ())]
    return _Form(
        operation.name,
        operation.http["method"],
        _pattern(path),
        dict(parse_qsl(query, keep_blank_values=True)),
        {key for where, key in asked_for if where == "querystring"},
        {key for where, key in asked_for if where == "header"},
        members,
    )


def _pattern(path: str) -> re.Pattern[str]:
    """What paths of an operation look like: ``/{Bucket}/{Key+}``; a label's value is a group."""
    made = ""
    for part in re.split(r"(\{[^}]+\})", path):
        if part.startswith("{"):
            label = part.strip("{}")
            rest = label.endswith("+")
            made += f"(?P<{_group(label.rstrip('+'))}>{'.+' if rest else '[^/]+'})"
        else:
            made += re.escape(part)
    return re.compile(f"{made}/?" if made.count("/") < 2 else made, re.DOTALL)


def _group(label: str) -> str:
    return re.sub(r"\W", "_", label)


def _keys(body: bytes) -> Iterator[tuple[str, str | None]]:
    """The keys and versions that a DeleteObjects names."""
    for found in ET.fromstring(body).iter():
        if found.tag.rpartition("}")[2] == "Object":
            told = {it.tag.rpartition("}")[2]: it.text or "" for it in found}
            yield told["Key"], told.get("VersionId")


@cache
def _model(service: str) -> ServiceModel:
    """A service's model, by its signing name."""
    session = botocore.session.get_session()
    name = {"monitoring": "cloudwatch", "states": "stepfunctions"}.get(service, service)
    return session.get_service_model(name)
