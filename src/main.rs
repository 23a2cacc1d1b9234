//! The binary: see [`metka::cli`].

fn main() -> std::process::ExitCode {
    metka::cli::main()
}
