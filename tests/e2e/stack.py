"""template.yaml and member-account.yaml as SAM, CloudFormation and IAM read them."""

import functools
import logging
import re

from samcli.yamlhelper import yaml_dump, yaml_parse
from samtranslator.translator.transform import transform

from tools import ACCOUNT, REGION, ROOT, check_equal

TEMPLATE = ROOT / "template.yaml"
MEMBER_TEMPLATE = ROOT / "member-account.yaml"
DASHBOARD_TEMPLATE = ROOT / "dashboard.yaml"
NO_VALUE = object()

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
    """The resources that SAM makes of the template, with every function of the template computed."""

    def __init__(self, *, path=TEMPLATE, account=ACCOUNT, region=REGION, **parameters):
        source = template(path)
        self.name = "rekognition-stopper"
        self.account = account
        self.region = region
        defaults = {name: it.get("Default") for name, it in source["Parameters"].items()}
        self.values = {name: str(value) for name, value in defaults.items() if value is not None} | parameters
        self.rules = source.get("Rules", {})
        if "Transform" in source:
            # SAM takes code and definitions from a bucket only; which one does not matter here.
            source["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/function.zip"
            source["Resources"]["Machine"]["Properties"]["DefinitionUri"] = "s3://bucket/state-machine.asl.json"
            source = transform(source, {}, NoManagedPolicies())
        self.conditions = source["Conditions"]
        self.resources = self._kept(source["Resources"])
        self.outputs = {name: it["Value"] for name, it in self._kept(source["Outputs"]).items()}

    def _kept(self, section):
        """What a section of the template has under these parameters."""
        return {
            name: self._compute(it)
            for name, it in section.items()
            if "Condition" not in it or self._holds(it["Condition"])
        }

    def refusals(self):
        """What the rules of the template say against the parameters."""
        return [
            assertion["AssertDescription"]
            for rule in self.rules.values()
            if self._compute(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._compute(assertion["Assert"])
        ]

    def properties(self, name):
        """The properties of a resource; an attribute of another resource stands as `RESOURCE.ATTRIBUTE`."""
        return self.resources[name]["Properties"]

    def of_type(self, resource_type):
        """The properties of all resources of a type, by name."""
        found = {name: it for name, it in self.resources.items() if it["Type"] == resource_type}
        return {name: it["Properties"] for name, it in found.items()}

    def role_statements(self, role="FunctionRole"):
        """What the function's role allows, or another role."""
        policies = self.properties(role)["Policies"]
        return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]

    def _holds(self, condition):
        return self._compute(self.conditions[condition])

    def _compute(self, it):
        if isinstance(it, list):
            return [item for item in map(self._compute, it) if item is not NO_VALUE]
        if not isinstance(it, dict):
            return it
        if len(it) == 1:
            (function, argument), = it.items()
            if function == "Ref":
                return self._reference(argument)
            if function == "Fn::GetAtt":
                return ".".join(argument) if isinstance(argument, list) else argument
            if function == "Fn::If":
                condition, yes, no = argument
                return self._compute(yes if self._holds(condition) else no)
            if function == "Condition" and isinstance(argument, str):
                return self._holds(argument)
            argument = self._compute(argument)
            if function == "Fn::Sub":
                text, own = argument if isinstance(argument, list) else (argument, {})
                return re.sub(r"\$\{([^}]+)\}", lambda it: own[it[1]] if it[1] in own else self._reference(it[1]), text)
            if function == "Fn::Join":
                return argument[0].join(argument[1])
            if function == "Fn::Select":
                return argument[1][int(argument[0])]
            if function == "Fn::Split":
                return argument[1].split(argument[0])
            if function == "Fn::Equals":
                # CloudFormation compares texts.
                return str(argument[0]) == str(argument[1])
            if function == "Fn::Not":
                return not argument[0]
            if function == "Fn::And":
                return all(argument)
            if function == "Fn::Or":
                return any(argument)
        computed = {name: self._compute(value) for name, value in it.items()}
        return {name: value for name, value in computed.items() if value is not NO_VALUE}

    def _reference(self, name):
        pseudo = {
            "AWS::NoValue": NO_VALUE,
            "AWS::AccountId": self.account,
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::StackName": self.name,
        }
        return pseudo.get(name, self.values.get(name, name))


class NoManagedPolicies:
    """SAM's list of AWS's own policies, of which the template uses none."""

    def load(self):
        return {}


# A call inside one organization.
SAME_ORGANIZATION = {"aws:ResourceOrgID": "o-exampleorg", "aws:PrincipalOrgID": "o-exampleorg"}


def allows(statements, action, resource, context=SAME_ORGANIZATION):
    """Whether a policy lets `action` be done to `resource`, as IAM decides it, where the call has this context."""

    def matches(patterns, value):
        return any(matches_pattern(pattern, value) for pattern in as_list(patterns))

    def holds(condition):
        # The functions' policies know no other operator.
        check_equal(set(condition) - {"StringEquals"}, set(), "operators of a condition")
        return all(
            re.sub(r"^\$\{(.*)\}$", lambda it: context.get(it[1], ""), value) == context.get(key)
            for key, value in condition.get("StringEquals", {}).items()
        )

    fitting = [
        it for it in statements
        if matches(it["Action"], action) and matches(it["Resource"], resource) and holds(it.get("Condition", {}))
    ]
    effects = {it["Effect"] for it in fitting}
    return effects == {"Allow"}


def matches_pattern(pattern, value):
    """Whether IAM's wildcards in `pattern` let it stand for `value`."""
    return expression_of(pattern).fullmatch(value) is not None


@functools.cache
def expression_of(pattern):
    """IAM's wildcards as a regular expression."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."))


def as_list(it):
    """A list, where a policy may have one string instead."""
    return it if isinstance(it, list) else [it]
