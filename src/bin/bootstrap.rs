//! The Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    warmd::lambda::main().await
}
