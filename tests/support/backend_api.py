"""Prints the part of Corbado's published Backend API that is about connect tokens, as one JSON document.

What is changed, and why:
- `connectTokenData` is `oneOf` three schemas of which two are the same and the third is contained in them, so that no value
  fits: `anyOf` is what it means.
- That a token to append has a display name, and the others need none, is said of the data and not of the request: it is now.
- Authentication is left out: every request is sent with the project's credential, and another test tries the others.
- Limits of the stand-in's own (texts of 1 to 256 characters, lifetimes of up to a day) are written in, so that what it refuses
  for them is no finding.

    python backend_api.py FOLDER   (with backend_api_public_v2.yml and common.yml)
"""

import json
import pathlib
import sys

import yaml

folder = pathlib.Path(sys.argv[1])
read = lambda name: yaml.safe_load((folder / name).read_text())
api, common = read("backend_api_public_v2.yml"), read("common.yml")

api["paths"] = {path: item for path, item in api["paths"].items() if path.startswith("/connectTokens")}
assert len(api["paths"]) == 2, "the published paths have changed"
for kind in ("schemas", "parameters"):
    api["components"].setdefault(kind, {})
    for name, value in common["components"].get(kind, {}).items():
        api["components"][kind].setdefault(name, value)

schemas = api["components"]["schemas"]
data = schemas["connectTokenData"]
data["anyOf"] = data.pop("oneOf")
for name, schema in schemas.items():
    if name.startswith("connectTokenDataPasskey"):
        for field, rule in schema["properties"].items():
            rule["maxLength"] = 256
            if field == "identifier":
                rule["minLength"] = 1
create = schemas["connectTokenCreateReq"]
create["properties"]["maxLifetimeInSeconds"].update(minimum=1, maximum=86400)
request = lambda kinds, data: {
    "type": "object",
    "required": create["required"],
    "properties": create["properties"]
    | {"type": {"type": "string", "enum": kinds}, "data": {"$ref": f"#/components/schemas/{data}"}},
}
schemas["connectTokenCreateReq"] = {
    "anyOf": [
        request(["passkey-append"], "connectTokenDataPasskeyAppend"),
        request(["passkey-delete", "passkey-list"], "connectTokenDataPasskeyList"),
    ]
}
# What the stand-in knows of paging and filters.
for name in ("page", "pageSize"):
    api["components"]["parameters"][name]["schema"].update(minimum=1, maximum=1000)
pattern = "^(id|tokenType|connectTokenStatus|identifier):eq:.*$"
api["components"]["parameters"]["filter"]["schema"]["items"]["pattern"] = pattern

# Only what the two paths lead to: the rest of the file has references to files that are not published.
text = json.dumps(api).replace("common.yml#", "#")
api = json.loads(text)
kept, wanted = {}, [api["paths"]]
while wanted:
    value = wanted.pop()
    if isinstance(value, dict):
        reference = value.get("$ref")
        if reference and reference not in kept:
            kept[reference] = api
            for step in reference.removeprefix("#/").split("/"):
                kept[reference] = kept[reference][step]
            wanted.append(kept[reference])
        wanted.extend(value.values())
    elif isinstance(value, list):
        wanted.extend(value)
components = {}
for reference, value in kept.items():
    _, _, kind, name = reference.split("/")
    components.setdefault(kind, {})[name] = value
api["components"] = components
api["tags"], api["security"] = [], []
for item in api["paths"].values():
    for operation in item.values():
        operation["security"] = []
json.dump(api, sys.stdout)
