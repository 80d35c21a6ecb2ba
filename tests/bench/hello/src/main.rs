//! A function that does nothing: the least that a Lambda function on `lambda_runtime` costs.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(|_event: LambdaEvent<Box<RawValue>>| async {
        Ok::<_, Error>(RawValue::from_string(r#"{"statusCode":200,"body":{}}"#.to_owned())?)
    }))
    .await
}
