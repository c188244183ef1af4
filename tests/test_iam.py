"""The evaluator of policies against what AWS's documentation says of its own.

Each test names the page that its example stands on; those without another beginning are below
https://docs.aws.amazon.com/IAM/latest/UserGuide/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.iam import (
    Decision,
    Policies,
    PolicyError,
    Principal,
    Request,
    arn_like,
    decide,
    holds,
    like,
    statements,
)

ROLE = Principal("AWS", "arn:aws:iam::111122223333:role/reader")
EVENTS = Principal("Service", "events.amazonaws.com")
BUCKET = "arn:aws:s3:::amzn-s3-demo-bucket"
KEY = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def policy(*told: Mapping[str, Any]) -> list[Any]:
    return [*statements("here", {"Version": "2012-10-17", "Statement": [*told]})]


def allow(action: Any = "s3:GetObject", resource: Any = f"{BUCKET}/*", **more: Any) -> Any:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(**more: Any) -> Any:
    return {**allow("*", "*"), "Effect": "Deny", **more}


def asked(
    action: str = "s3:GetObject",
    resource: str = f"{BUCKET}/a",
    principal: Principal = ROLE,
    context: Mapping[str, str] | None = None,
) -> Request:
    return Request(principal, action, resource, context or {})


# ------------------------------------------------------------------------------------ the order


def test_what_nothing_allows_is_refused() -> None:
    # reference_policies_evaluation-logic_policy-eval-denyallow.html
    assert decide(asked(), Policies()) == Decision(refused="allowed by nothing")
    assert decide(asked(), Policies(identity=policy(allow()))).allowed


@pytest.mark.parametrize("where", ["identity", "resource", "endpoint"])
def test_what_is_denied_anywhere_is_refused(where: str) -> None:
    # reference_policies_evaluation-logic_AccessPolicyLanguage_Interplay.html
    every = {
        "identity": policy(allow()),
        "resource": policy(allow(Principal="*")),
        "endpoint": policy(allow("*", "*", Principal="*")),
    }
    assert decide(asked(), Policies(**every)).allowed  # type: ignore[arg-type]
    every[where] += policy(deny() if where == "identity" else deny(Principal="*"))
    refused = decide(asked(), Policies(**every)).refused  # type: ignore[arg-type]
    assert refused == "denied by here#1"


def test_one_of_identity_and_resource_suffices_in_one_account() -> None:
    # reference_policies_evaluation-logic_policy-eval-basics-id-rdp.html
    to_role = policy(allow(Principal={"AWS": ROLE.name}))
    assert decide(asked(), Policies(resource=to_role)).allowed
    assert decide(asked(), Policies(identity=policy(allow()), resource=[])).allowed
    # Who names the account leaves it to the account's own policies.
    to_account = policy(allow(Principal={"AWS": "arn:aws:iam::111122223333:root"}))
    assert not decide(asked(), Policies(resource=to_account)).allowed
    assert decide(asked(), Policies(policy(allow()), to_account)).allowed


def test_a_key_s_policy_must_allow_too() -> None:
    # https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    own = policy(allow("kms:Decrypt", KEY))
    ask = asked("kms:Decrypt", KEY)
    assert not decide(ask, Policies(own, [], must=True)).allowed
    default = policy(allow("kms:*", "*", Principal={"AWS": "arn:aws:iam::111122223333:root"}))
    assert decide(ask, Policies(own, default, must=True)).allowed
    assert not decide(ask, Policies([], default, must=True)).allowed
    directly = policy(allow("kms:Decrypt", "*", Principal={"AWS": ROLE.name}))
    assert decide(ask, Policies([], directly, must=True)).allowed


def test_an_endpoint_s_policy_must_allow_too() -> None:
    # https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    door = policy(allow("s3:PutObject", "*", Principal="*"))
    found = decide(asked(), Policies(policy(allow()), endpoint=door))
    assert found.refused == "not allowed by the endpoint's policy"
    assert not decide(asked("s3:PutObject"), Policies(endpoint=door)).allowed  # it grants nothing


def test_a_service_is_allowed_by_the_resource_alone() -> None:
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    queue = "arn:aws:sqs:us-west-2:111122223333:hints"
    rule = "arn:aws:events:us-west-2:111122223333:rule/files"
    theirs = policy(
        allow(
            "sqs:SendMessage",
            queue,
            Principal={"Service": EVENTS.name},
            Condition={"ArnEquals": {"aws:SourceArn": rule}},
        )
    )
    ask = asked("sqs:SendMessage", queue, EVENTS, {"aws:sourcearn": rule})
    assert decide(ask, Policies(resource=theirs)).allowed
    assert not decide(asked("sqs:SendMessage", queue, EVENTS), Policies(resource=theirs)).allowed
    assert not decide(ask, Policies(resource=[])).allowed


def test_what_allows_is_told() -> None:
    own = policy(allow("s3:List*", "*"), allow())
    assert [s.place for s in decide(asked(), Policies(own)).by] == ["here#2"]


# ------------------------------------------------------------------------------------- elements


def test_not_action_is_every_other() -> None:
    # reference_policies_elements_notaction.html
    told = {"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": "arn:aws:s3:::*"}
    assert decide(asked("s3:ListBucket", BUCKET), Policies(policy(told))).allowed
    assert not decide(asked("s3:DeleteBucket", BUCKET), Policies(policy(told))).allowed
    only_iam = deny(NotAction="iam:*", Condition={"BoolIfExists": {"mfa": "false"}})
    del only_iam["Action"]
    assert not decide(asked(), Policies(policy(allow(), only_iam))).allowed


def test_not_resource_is_every_other() -> None:
    # reference_policies_elements_notresource.html
    told = deny(NotResource=[f"{BUCKET}/hr/*", BUCKET])
    del told["Resource"]
    own = policy(allow(), told)
    assert decide(asked(resource=f"{BUCKET}/hr/a"), Policies(own)).allowed
    assert not decide(asked(resource=f"{BUCKET}/it/a"), Policies(own)).allowed


def test_not_principal_is_everyone_else() -> None:
    # reference_policies_elements_notprincipal.html
    told = policy(deny(NotPrincipal={"AWS": [ROLE.name]}))
    other = Principal("AWS", "arn:aws:iam::111122223333:role/other")
    own = policy(allow())
    assert decide(asked(), Policies(own, told)).allowed
    assert not decide(asked(principal=other), Policies(own, told)).allowed


def test_actions_have_no_case_and_resources_do() -> None:
    # reference_policies_elements_action.html, reference_policies_elements_resource.html
    own = policy(allow("S3:getOBJECT"))
    assert decide(asked(), Policies(own)).allowed
    assert not decide(asked(resource=f"{BUCKET.upper()}/a"), Policies(own)).allowed


def test_a_wildcard_of_an_arn_stays_within_its_part() -> None:
    # reference_policies_elements_resource.html, and of ArnLike the operators' page.
    assert arn_like("arn:aws:sqs:us-east-2:*:queue1", "arn:aws:sqs:us-east-2:111122223333:queue1")
    assert not arn_like("arn:aws:sqs:*:queue1", "arn:aws:sqs:us-east-2:111122223333:queue1")
    assert arn_like("arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/1/2/test/3/a.jpg")
    assert arn_like("arn:aws:s3:::b/t?st", "arn:aws:s3:::b/test")
    assert arn_like("arn:aws:logs:*:*:log-group:/g/*", "arn:aws:logs:r:1:log-group:/g/a:*")


def test_what_iam_does_not_know_is_an_error() -> None:
    with pytest.raises(PolicyError, match="Actions"):
        policy({"Effect": "Allow", "Actions": "*", "Resource": "*"})
    with pytest.raises(PolicyError, match="StringIs"):
        holds({"StringIs": {"a": "b"}}, {"a": "b"})
    with pytest.raises(PolicyError, match="ForSome"):
        holds({"ForSome:StringEquals": {"a": "b"}}, {"a": "b"})
    with pytest.raises(PolicyError, match="NumericNotLessThan"):
        holds({"NumericNotLessThan": {"a": "1"}}, {"a": "1"})


# ----------------------------------------------------------------------------------- conditions


def test_keys_and_operators_are_and_and_values_are_or() -> None:
    # reference_policies_condition-logic-multiple-context-keys-or-values.html
    told: Mapping[str, Any] = {
        "StringEquals": {"a": ["1", "2"], "b": "3"},
        "Bool": {"c": "true"},
    }
    assert holds(told, {"a": "2", "b": "3", "c": "true"})
    for lacking in ({"a": "4"}, {"b": "1"}, {"c": "false"}):
        assert not holds(told, {"a": "2", "b": "3", "c": "true", **lacking})
    none_of = {"StringNotEquals": {"a": ["1", "2"]}}
    assert [holds(none_of, {"a": v}) for v in "123"] == [False, False, True]


def test_keys_have_no_case() -> None:
    # reference_policies_elements_condition.html
    assert holds({"StringEquals": {"aws:PrincipalAccount": "1"}}, {"aws:principalaccount": "1"})


def test_a_key_that_the_request_lacks() -> None:
    # reference_policies_elements_condition_operators.html
    for operator in ("StringEquals", "ArnLike", "NumericLessThan", "Bool", "IpAddress"):
        assert not holds({operator: {"a": "1"}}, {})
        assert holds({f"{operator}IfExists": {"a": "1"}}, {})
    for operator in ("StringNotEquals", "StringNotLike", "ArnNotEquals", "NumericNotEquals"):
        assert holds({operator: {"a": "1"}}, {})
    assert holds({"Null": {"a": "true"}}, {})
    assert holds({"Null": {"a": "false"}}, {"a": "1"})
    assert not holds({"Null": {"a": "true"}}, {"a": "1"})
    assert holds({"ForAllValues:StringEquals": {"a": "1"}}, {})
    assert not holds({"ForAnyValue:StringEquals": {"a": "1"}}, {})
    assert not holds({"ForAnyValue:StringNotEquals": {"a": "1"}}, {})


@pytest.mark.parametrize(
    ("operator", "wanted", "fits", "not_fits"),
    [
        ("StringEquals", "Ab", "Ab", "ab"),
        ("StringEqualsIgnoreCase", "Ab", "aB", "ac"),
        ("StringLike", "home/*", "home/x/y", "Home/x"),
        ("NumericLessThanEquals", "10", "10", "10.5"),
        ("NumericGreaterThan", "9", "10", "9"),
        ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
        ("Bool", True, "true", "false"),
        ("IpAddress", "203.0.113.0/24", "203.0.113.7", "203.0.114.7"),
        ("ArnEquals", "arn:aws:sns:*:1:t-*", "arn:aws:sns:r:1:t-a", "arn:aws:sns:r:2:t-a"),
        ("ArnNotLike", "arn:aws:sns:*:1:t", "arn:aws:sns:r:2:t", "arn:aws:sns:r:1:t"),
        ("NotIpAddress", "203.0.113.0/24", "203.0.114.7", "203.0.113.7"),
    ],
)
def test_operators(operator: str, wanted: Any, fits: str, not_fits: str) -> None:
    # reference_policies_elements_condition_operators.html
    assert holds({operator: {"k": wanted}}, {"k": fits})
    assert not holds({operator: {"k": wanted}}, {"k": not_fits})


def test_sets_of_values() -> None:
    # reference_policies_condition-logic-multiple-context-keys-or-values.html, DynamoDB's table.
    attributes = ["PostDateTime", "Message", "Tags"]
    every = {"ForAllValues:StringLike": {"dynamodb:requestedAttributes": attributes}}
    key = "dynamodb:requestedattributes"
    assert holds(every, {key: ["PostDateTime", "Message"]})
    assert not holds(every, {key: ["PostDateTime", "UserName"]})
    assert holds(every, {key: []})
    some = {"ForAnyValue:StringLike": {"dynamodb:requestedAttributes": ["ID", "PostDateTime"]}}
    assert holds(some, {key: ["UserName", "Message", "PostDateTime"]})
    assert not holds(some, {key: ["UserName"]})
    assert not holds(some, {key: []})


def test_a_key_of_several_values_asks_for_a_set_operator() -> None:
    # reference_policies_condition-single-vs-multi-valued-context-keys.html, and of a key's
    # aliases https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
    aliases = {"kms:resourcealiases": ["alias/data"]}
    assert not holds({"StringEquals": {"kms:ResourceAliases": "alias/data"}}, aliases)
    assert holds({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/data"}}, aliases)


# ------------------------------------------------------------------------------------ variables


def test_variables() -> None:
    # reference_policies_variables.html
    own = policy(allow(resource=f"{BUCKET}/${{aws:PrincipalTag/team}}/*"))
    for team, key, fits in (("red", "red/a", True), ("red", "blue/a", False)):
        ask = asked(resource=f"{BUCKET}/{key}", context={"aws:principaltag/team": team})
        assert decide(ask, Policies(own)).allowed is fits
    assert not decide(asked(resource=f"{BUCKET}/red/a"), Policies(own)).allowed
    default = policy(allow(resource=f"{BUCKET}/${{aws:PrincipalTag/team, 'common'}}/*"))
    assert decide(asked(resource=f"{BUCKET}/common/a"), Policies(default)).allowed
    but = deny(NotResource=f"{BUCKET}/${{aws:PrincipalTag/team}}/*")
    del but["Resource"]
    assert decide(asked(), Policies(policy(allow(), but))).allowed  # about nothing, not all
    told = {"StringLike": {"s3:prefix": "${aws:username}/*"}}
    assert holds(told, {"s3:prefix": "ann/x", "aws:username": "ann"})
    assert not holds({"StringNotLike": told["StringLike"]}, {"s3:prefix": "ann/x"})
    assert holds({"StringEquals": {"a": "${aws:username}"}}, {"a": "*", "aws:username": "*"})
    # A value's own signs are no wildcards, nor are those that are written as variables.
    assert not holds(told, {"s3:prefix": "ann/x", "aws:username": "*"})
    assert like("a${*}b${?}", "a*b?")
    assert not like("a${*}", "ab")
