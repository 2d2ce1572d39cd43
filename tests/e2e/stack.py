"""template.yaml as SAM, CloudFormation and IAM read it."""

import logging
import re

from samcli.yamlhelper import yaml_dump, yaml_parse
from samtranslator.translator.transform import transform

from tools import ACCOUNT, REGION, ROOT

TEMPLATE = ROOT / "template.yaml"
NO_VALUE = object()

# It warns that it reports to nobody.
logging.getLogger("samtranslator.metrics.metrics").setLevel(logging.ERROR)


def template():
    """The template as it is written."""
    return yaml_parse(TEMPLATE.read_text())


def write_copy(original, path, change):
    """Writes a copy of a template in which `change` has changed something."""
    copy = yaml_parse(original.read_text())
    change(copy)
    path.write_text(yaml_dump(copy))
    return path


class Stack:
    """The resources that SAM makes of the template, with every function of the template computed."""

    def __init__(self, **parameters):
        source = template()
        # SAM takes code from a bucket only; which one does not matter here.
        source["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/function.zip"
        self.name = "rekognition-stopper"
        self.values = {name: str(it["Default"]) for name, it in source["Parameters"].items()} | parameters
        expanded = transform(source, {}, NoManagedPolicies())
        self.conditions = expanded["Conditions"]
        self.resources = {
            name: self._compute(resource)
            for name, resource in expanded["Resources"].items()
            if "Condition" not in resource or self._holds(resource["Condition"])
        }

    def properties(self, name):
        """The properties of a resource; an attribute of another resource stands as `RESOURCE.ATTRIBUTE`."""
        return self.resources[name]["Properties"]

    def of_type(self, resource_type):
        """The properties of all resources of a type, by name."""
        found = {name: it for name, it in self.resources.items() if it["Type"] == resource_type}
        return {name: it["Properties"] for name, it in found.items()}

    def function_statements(self):
        """What the function's role allows."""
        policies = self.properties("FunctionRole")["Policies"]
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
            argument = self._compute(argument)
            if function == "Fn::Sub":
                text, own = argument if isinstance(argument, list) else (argument, {})
                return re.sub(r"\$\{([^}]+)\}", lambda it: own[it[1]] if it[1] in own else self._reference(it[1]), text)
            if function == "Fn::Join":
                return argument[0].join(argument[1])
            if function == "Fn::Split":
                return argument[1].split(argument[0])
            if function == "Fn::Equals":
                return argument[0] == argument[1]
            if function == "Fn::Not":
                return not argument[0]
        computed = {name: self._compute(value) for name, value in it.items()}
        return {name: value for name, value in computed.items() if value is not NO_VALUE}

    def _reference(self, name):
        pseudo = {
            "AWS::NoValue": NO_VALUE,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackName": self.name,
        }
        return pseudo.get(name, self.values.get(name, name))


class NoManagedPolicies:
    """SAM's list of AWS's own policies, of which the template uses none."""

    def load(self):
        return {}


def allows(statements, action, resource):
    """Whether a policy lets `action` be done to `resource`, as IAM decides it. There are no conditions in ours."""

    def matches(patterns, value):
        return any(matches_pattern(pattern, value) for pattern in as_list(patterns))

    fitting = [it for it in statements if matches(it["Action"], action) and matches(it["Resource"], resource)]
    effects = {it["Effect"] for it in fitting}
    return effects == {"Allow"}


def matches_pattern(pattern, value):
    """Whether IAM's wildcards in `pattern` let it stand for `value`."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value) is not None


def as_list(it):
    """A list, where a policy may have one string instead."""
    return it if isinstance(it, list) else [it]
