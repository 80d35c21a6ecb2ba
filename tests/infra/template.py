"""The template as data: short forms such as `!Ref X` become `{"Ref": "X"}`, as CloudFormation has them."""

import os
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
TEMPLATE = REPOSITORY / "infra" / "template.yaml"

# One for each function: the crate, and the first part of the names of its resources.
FUNCTIONS = {
    "pre-login": "PreLogin",
    "post-login": "PostLogin",
    "post-append": "PostAppend",
    "auth-api": "AuthApi",
    "custom-auth": "CustomAuth",
}
ACTIONS = ["pre-login", "post-login", "post-append"]


class _Loader(yaml.SafeLoader):
    pass


def _short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    return {name: value}


_Loader.add_multi_constructor("!", _short_form)


def load():
    """The template."""
    return yaml.load(TEMPLATE.read_text(), _Loader)  # noqa: S506: a subclass of SafeLoader


def lint_tools():
    """The folder of sam, cfn-lint, checkov and actionlint."""
    return Path(os.environ.get("LINT_TOOLS", REPOSITORY / "target" / "lint-tools" / "bin"))


def walk(value):
    """Every value in a tree."""
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    for child in children:
        yield from walk(child)
