//! `infra/auth-system.openapi.json`, and the part of JSON Schema that it uses.

use serde_json::Value;

/// The file.
#[derive(Debug)]
pub struct Contract(Value);

/// An operation of the file.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    pub path: &'a str,
    pub name: &'a str,
    pub attempts: usize,
    request: &'a Value,
    answer: &'a Value,
}

/// Which way a body goes.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    Request,
    Answer,
}

impl Contract {
    /// Reads the file.
    pub fn read() -> Self {
        let path = crate::repository().join("infra/auth-system.openapi.json");
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    /// All operations.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.0["paths"].as_object().unwrap().iter().map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            assert!(methods.keys().eq(["post"]), "{path}: POST only");
            let post = &methods["post"];
            Operation {
                path,
                name: post["operationId"].as_str().unwrap(),
                attempts: usize::try_from(post["x-attempts"].as_u64().unwrap()).unwrap(),
                request: &post["requestBody"]["content"]["application/json"],
                answer: &post["responses"]["200"]["content"]["application/json"],
            }
        })
    }

    /// Checks a body of an operation.
    pub fn check(&self, operation: Operation<'_>, body: Body, value: &Value) -> Result<(), String> {
        self.fits(&operation.media(body)["schema"], value, "body")
    }

    /// Checks `value`. Objects are closed here, so that neither side has a field that the file has not.
    fn fits(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (keyword, rule) in schema.as_object().unwrap() {
            let holds = match keyword.as_str() {
                "description" | "examples" => true,
                "$ref" => {
                    let name = rule.as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
                    self.fits(&self.0["components"]["schemas"][name], value, at)?;
                    true
                }
                "anyOf" => list(rule).iter().any(|schema| self.fits(schema, value, at).is_ok()),
                "type" => match rule {
                    Value::Array(types) => types.iter().any(|it| is(value, it)),
                    one => is(value, one),
                },
                "const" => value == rule,
                "required" => list(rule).iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
                "properties" => true,
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.fits(rule, item, &format!("{at}[{index}]"))?;
                    }
                    true
                }
                "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= number(rule)),
                "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= number(rule)),
                "minimum" => value.as_f64() >= rule.as_f64(),
                "maximum" => value.as_f64() <= rule.as_f64(),
                "pattern" => {
                    assert_eq!(rule, "^[0-9a-f]{64}$", "another pattern than the tests know");
                    value.as_str().is_none_or(|text| {
                        text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                    })
                }
                "format" => {
                    assert_eq!(rule, "date-time", "another format than the tests know");
                    value.as_str().is_none_or(is_utc_time)
                }
                unknown => panic!("{at}: the tests do not know the keyword {unknown}"),
            };
            if !holds {
                return Err(format!("{at}: {keyword} {rule}"));
            }
        }
        let Some(fields) = value.as_object().filter(|_| schema["type"] == "object") else {
            return Ok(());
        };
        for (name, field) in fields {
            let rule = schema["properties"].get(name).ok_or(format!("{at}: unknown field {name}"))?;
            self.fits(rule, field, &format!("{at}.{name}"))?;
        }
        Ok(())
    }
}

impl<'a> Operation<'a> {
    /// The file's own examples of a body.
    pub fn examples(self, body: Body) -> impl Iterator<Item = &'a Value> {
        self.media(body)["examples"].as_object().unwrap().values().map(|example| &example["value"])
    }

    fn media(self, body: Body) -> &'a Value {
        match body {
            Body::Request => self.request,
            Body::Answer => self.answer,
        }
    }
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        unknown => panic!("the tests do not know the type {unknown}"),
    }
}

/// Tells whether a text has the form of `2026-11-22T10:15:30.123Z`.
fn is_utc_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00.000Z";
    text.len() == form.len()
        && text.chars().zip(form.chars()).all(|(c, of)| if of == '0' { c.is_ascii_digit() } else { c == of })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}
