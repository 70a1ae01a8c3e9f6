//! The command line and the daemon.

fn main() -> std::process::ExitCode {
    warmd::cli::main()
}
