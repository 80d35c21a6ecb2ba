"""Checks connect-token requests (a JSON list on standard input) against the OpenAPI file in Corbado's Node SDK.

The file allows any one of three shapes of `data`, which overlap, so that none of its own examples is valid by the
letter of `oneOf`. The shape that belongs to the request's type is taken instead.
"""

import json
import pathlib
import sys

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FILE = "backend_api_public_v2.yml"
DATA = {
    "passkey-append": "connectTokenDataPasskeyAppend",
    "passkey-list": "connectTokenDataPasskeyList",
    "passkey-delete": "connectTokenDataPasskeyDelete",
}

spec = yaml.safe_load((pathlib.Path(sys.argv[1]) / FILE).read_text())
schemas = spec["components"]["schemas"]
registry = Registry().with_resource(FILE, Resource.from_contents(spec, default_specification=DRAFT202012))


def errors(schema, value):
    validator = Draft202012Validator({"$ref": f"{FILE}#/components/schemas/{schema}"}, registry=registry)
    return [error.message for error in validator.iter_errors(value)]


found = []
for request in json.load(sys.stdin):
    rest = dict(schemas["connectTokenCreateReq"]["properties"])
    found += [f"unknown: {name}" for name in request if name not in rest]
    found += [f"missing: {name}" for name in schemas["connectTokenCreateReq"]["required"] if name not in request]
    found += errors("connectTokenType", request["type"])
    found += errors(DATA[request["type"]], request["data"])
    known = schemas[DATA[request["type"]]]["properties"]
    found += [f"unknown: data.{name}" for name in request["data"] if name not in known]
    if not isinstance(request.get("maxLifetimeInSeconds", 1), int):
        found.append("maxLifetimeInSeconds: not an integer")
print("\n".join(found) if found else "valid")
