"""MiniStack, an AWS on this machine whose CloudFormation makes what it is asked to."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from tests.support import PROJECT
from tests.support.recorded import Recorded
from tests.support.recorder import Recorder
from tests.support.servers import at_work, own_port, serving

PROGRAM = PROJECT / ".venv-ministack" / "bin" / "ministack"
UNKNOWN: Final = frozenset(
    {
        "AWS::Athena::NamedQuery",
        "AWS::Backup::BackupSelection",
        "AWS::CloudTrail::Trail",
        "AWS::Config::ConfigurationRecorder",
        "AWS::Config::DeliveryChannel",
        "AWS::EC2::FlowLog",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::Glue::SecurityConfiguration",
        "AWS::GuardDuty::Detector",
        "AWS::LakeFormation::DataLakeSettings",
        "AWS::LakeFormation::PrincipalPermissions",
        "AWS::LakeFormation::Resource",
        "AWS::SecurityHub::Hub",
    }
)
"""The types of ours that MiniStack 1.5.33 does not make; a test asks it for all of them."""


class MiniStack:
    """A server on 127.0.0.1; a context manager that ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._port = stack.enter_context(own_port())
            # It binds every address unless told.
            bound = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self._port)}
            stack.enter_context(
                serving(
                    [str(PROGRAM)],
                    self._answers,
                    self._folder / "log",
                    cwd=self._folder,
                    env={**os.environ, **bound},
                )
            )
            self._recorder = Recorder(self._port)
            self._url = stack.enter_context(at_work(self._recorder))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self._port)):
            return True

    @property
    def recorded(self) -> list[Recorded]:
        """All requests that came so far."""
        return self._recorder.recorded

    @property
    def environment(self) -> dict[str, str]:
        """What leads boto3 here."""
        return {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


def without(template: dict[str, Any], types: frozenset[str]) -> dict[str, Any]:
    """A template without resources of some types, and without what refers to them."""
    resources = template["Resources"]
    gone = {name for name, it in resources.items() if it["Type"] in types}

    def cleaned(value: Any) -> Any:
        match value:
            case {"Ref": name} if name in gone:
                return "not-here"
            case {"Fn::GetAtt": [name, _]} if name in gone:
                return "not-here"
            case dict():
                return {key: cleaned(it) for key, it in value.items()}
            case list():
                return [cleaned(it) for it in value]
            case _:
                return value

    kept = {name: it for name, it in resources.items() if name not in gone}
    for it in kept.values():
        needs = it.get("DependsOn", ())
        needs = [needs] if isinstance(needs, str) else needs
        it["DependsOn"] = [name for name in needs if name not in gone]
    return {**template, "Resources": cleaned(kept), "Outputs": cleaned(template.get("Outputs", {}))}
