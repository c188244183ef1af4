"""What CloudFormation's role may, held against what its own resource types say that they need.

A type's schema names the permissions of each of its handlers; cfn-lint brings the schemas.
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.cdk.config import ENVIRONMENTS
from deploy.cdk.names import GUARDDUTY_ROLE
from deploy.release import BY_HAND
from tests.support.iam import Policies, Principal, Request, decide
from tests.support.resolved import ACCOUNT, Resolved, resolved
from tests.support.templates import Templates

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

WITHOUT_HANDLERS: Final = {"AWS::LakeFormation::DataLakeSettings", "AWS::LakeFormation::Resource"}
"""Types whose schemas name no permissions: of these nothing is shown here."""
NOT_OURS: Final = {
    "organizations:ListAWSServiceAccessForOrganization": "of an organization's trail",
}
"""What handlers ask for that these resources have no use for, and what it is for."""
LINKED: Final = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/some.amazonaws.com/Role"
_ROLE: Final = re.compile(rf"arn:aws:iam::{ACCOUNT}:role/[\w/.-]+")

every = pytest.mark.parametrize("name", ENVIRONMENTS)


@cache
def _schemas() -> Path:
    """Those of CloudFormation's resource types, which cfn-lint carries; only here is it there."""
    import cfnlint

    return Path(cfnlint.__file__).parent / "data" / "schemas"


@cache
def _types(region: str) -> Mapping[str, str]:
    found: Mapping[str, str] = json.loads((_schemas() / "providers" / f"{region}.json").read_text())
    return found


@cache
def permissions(kind: str, region: str) -> frozenset[str] | None:
    """What a type's handlers need to make, read, change and delete; None where none are named."""
    file = _schemas() / "resources" / f"{_types(region)[kind]}.json"
    handlers = json.loads(file.read_text()).get("handlers")
    if handlers is None:
        return None
    told = (handlers.get(verb, {}) for verb in ("create", "read", "update", "delete"))
    return frozenset(action for it in told for action in it.get("permissions", ()))


def needed(kind: str, told: Mapping[str, Any], region: str) -> Iterator[tuple[str, str]]:
    """The actions of a resource, each with what it is done to.

    Of IAM what is known: the role itself, the roles that are handed over, service-linked ones.
    Everything else is one ``*``: which there will be is for the handler to say.
    """
    roles = sorted(set(_ROLE.findall(json.dumps({k: v for k, v in told.items() if k != "Arn"}))))
    if kind == "AWS::IAM::Role":
        roles = [told["Arn"]]
    elif kind == "AWS::IAM::Policy":
        roles = [f"arn:aws:iam::{ACCOUNT}:role/{role}" for role in told["Roles"]]
    for action in sorted((permissions(kind, region) or frozenset()) - NOT_OURS.keys()):
        if not action.startswith("iam:"):
            yield action, "*"
        elif action == "iam:CreateServiceLinkedRole":
            yield action, LINKED
        elif kind == "AWS::GuardDuty::Detector":  # it looks whether its own role is there
            yield action, f"arn:aws:iam::{ACCOUNT}:role/{GUARDDUTY_ROLE}"
        elif not action.endswith(("UserPolicy", "GroupPolicy")):  # ours are all roles'
            yield from ((action, role) for role in roles)


def lacking(account: Resolved) -> dict[str, list[str]]:
    """What the role would be refused, with the types that ask for it."""
    role = f"lakehouse-{account.name}-cloudformation"
    principal = Principal("AWS", f"arn:aws:iam::{ACCOUNT}:role/{role}")
    policies = Policies(identity=account.identities[role])
    found: dict[str, list[str]] = {}
    for part, region, kind, told in account.everything():
        if part == BY_HAND.removeprefix("-"):
            continue  # a person deploys it, with rights of their own
        for action, resource in needed(kind, told, region):
            to = {"iam:passedtoservice": f"{kind.split('::')[1].lower()}.amazonaws.com"}
            if not decide(Request(principal, action, resource, to), policies).allowed:
                found.setdefault(f"{action} on {resource}", []).append(kind)
    return found


@every
def test_the_role_may_do_all_that_the_types_ask_for(
    written: dict[str, Templates], name: str, counted: Callable[[str], None]
) -> None:
    account = resolved(written[name])
    assert lacking(account) == {}
    kinds = {kind: region for _, region, kind, _ in account.everything()}
    without = {kind for kind, region in kinds.items() if permissions(kind, region) is None}
    assert without == WITHOUT_HANDLERS
    asked = {a for kind, region in kinds.items() for a in permissions(kind, region) or ()}
    counted(f"{name}: {len(asked)} actions of {len(kinds) - len(without)} types' handlers allowed")


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("iam:ListRolePolicies", "AWS::IAM::Role"),
        ("iam:PassRole", "AWS::Glue::Job"),
        ("iam:PutRolePolicy", "AWS::IAM::Policy"),
    ],
)
def test_without_a_right_it_is_told_who_asks_for_it(
    written: dict[str, Templates], action: str, kind: str
) -> None:
    account = resolved(written["prod"]).without("lakehouse-prod-cloudformation", action)
    assert any(
        line.startswith(f"{action} on ") and kind in kinds
        for line, kinds in lacking(account).items()
    )
