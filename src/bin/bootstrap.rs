//! The Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    warmd::cli::lambda::main().await
}
