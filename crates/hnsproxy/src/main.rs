//! The program: reads the command line and carries it out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use hnsproxy::{cli, commands};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(cli) => commands::main(&cli),
        Err(error) => {
            // Where even this can't be written, nobody is there to be told.
            let _ = error.print();
            // clap ends with 2 on a mistake, which here means that a plan found differences.
            ExitCode::from(if error.use_stderr() { commands::FAILED } else { commands::CONVERGED })
        }
    }
}
