"""template.yaml and member-account.yaml as SAM, CloudFormation and IAM read them."""

import functools
import logging
import re

from ministack.core import responses
from ministack.services.cloudformation import engine
from samcli.yamlhelper import yaml_dump, yaml_parse
from samtranslator.translator.transform import transform

from tools import ACCOUNT, ROOT, check_equal

TEMPLATE = ROOT / "template.yaml"
MEMBER_TEMPLATE = ROOT / "member-account.yaml"
DASHBOARD_TEMPLATE = ROOT / "dashboard.yaml"

# It warns that its metrics go nowhere.
logging.getLogger("samtranslator.metrics.metrics").setLevel(logging.ERROR)


def template(path=TEMPLATE):
    """A template as it is written."""
    return yaml_parse(path.read_text())


def write_copy(original, path, change):
    """Writes a copy of a template in which `change` has changed something."""
    copy = yaml_parse(original.read_text())
    change(copy)
    path.write_text(yaml_dump(copy))
    return path


class Stack:
    """The resources that SAM makes of a template, with every function of the template computed, as
    the local AWS computes it. A resource is its name, and an attribute of it `NAME.ATTRIBUTE`."""

    name = "rekognition-stopper"

    def __init__(self, *, path=TEMPLATE, account=ACCOUNT, **parameters):
        source = template(path)
        given = source["Parameters"].items()
        values = {name: it["Default"] for name, it in given if "Default" in it}
        self.values = {name: {"Value": str(it)} for name, it in (values | parameters).items()}
        self.account = account
        self.rules = source.get("Rules", {})
        if "Transform" in source:
            # SAM takes code and definitions from a bucket only; which one does not matter here.
            resources = source["Resources"]
            resources["Function"]["Properties"]["CodeUri"] = "s3://bucket/function.zip"
            resources["Machine"]["Properties"]["DefinitionUri"] = "s3://bucket/machine.json"
            source = transform(source, {}, NoManagedPolicies())
        self.conditions = engine._evaluate_conditions(source, self.values)
        self.made = {
            name: {
                "PhysicalResourceId": name,
                "Attributes": {it: f"{name}.{it}" for it in ["Arn", "QueueName"]},
            }
            for name in source["Resources"]
        }
        self.resources = self._computed(source["Resources"])
        outputs = self._computed(source["Outputs"])
        self.outputs = {name: it["Value"] for name, it in outputs.items()}

    def _computed(self, section):
        """What a section of the template has under these parameters."""
        here = responses._request_account_id.set(self.account)
        found = {
            name: engine._resolve_refs(
                it, self.made, self.values, self.conditions, {}, self.name, "stack-id"
            )
            for name, it in section.items()
            if self.conditions.get(it.get("Condition"), True)
        }
        responses._request_account_id.reset(here)
        return found

    def refusals(self):
        """What the rules of the template say against the parameters."""
        found = []
        for rule in self.rules.values():
            asserted = {it["AssertDescription"]: it["Assert"] for it in rule["Assertions"]}
            conditions = {"Conditions": asserted | {"applies": rule["RuleCondition"]}}
            holds = engine._evaluate_conditions(conditions, self.values)
            found += [text for text in asserted if holds["applies"] and not holds[text]]
        return found

    def properties(self, name):
        """The properties of a resource."""
        return self.resources[name]["Properties"]

    def of_type(self, resource_type):
        """The properties of all resources of a type, by name."""
        found = {name: it for name, it in self.resources.items() if it["Type"] == resource_type}
        return {name: it["Properties"] for name, it in found.items()}

    def role_statements(self, role="FunctionRole"):
        """What the function's role allows, or another role."""
        documents = [policy["PolicyDocument"] for policy in self.properties(role)["Policies"]]
        return [statement for document in documents for statement in document["Statement"]]


class NoManagedPolicies:
    """SAM's list of AWS's own policies, of which the template uses none."""

    def load(self):
        return {}


# A call inside one organization.
SAME_ORGANIZATION = {"aws:ResourceOrgID": "o-exampleorg", "aws:PrincipalOrgID": "o-exampleorg"}


def allows(statements, action, resource, context=SAME_ORGANIZATION):
    """Whether a policy lets `action` be done to `resource`, as IAM decides it in this context."""

    def matches(patterns, value):
        return any(expression_of(it).fullmatch(value) for it in as_list(patterns))

    def holds(condition):
        # The functions' policies know no other operator.
        check_equal(set(condition) - {"StringEquals"}, set(), "operators of a condition")
        return all(
            re.sub(r"^\$\{(.*)\}$", lambda it: context.get(it[1], ""), value) == context.get(key)
            for key, value in condition.get("StringEquals", {}).items()
        )

    fitting = [
        it for it in statements
        if matches(it["Action"], action) and matches(it["Resource"], resource)
        and holds(it.get("Condition", {}))
    ]
    return {it["Effect"] for it in fitting} == {"Allow"}


def actions_of(statements):
    """The actions that these statements allow."""
    return {action for it in statements for action in as_list(it["Action"])}


@functools.cache
def expression_of(pattern):
    """IAM's wildcards as a regular expression."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."))


def as_list(it):
    """A list, where a policy may have one string instead."""
    return it if isinstance(it, list) else [it]
