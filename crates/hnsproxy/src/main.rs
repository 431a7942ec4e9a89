//! The program hnsproxy.
#![forbid(unsafe_code)]

mod load_config;

use std::process::ExitCode;

use hnsproxy::{cli, commands, log, panic_hook};

fn main() -> ExitCode {
    // The linker removes a static that nothing refers to.
    #[cfg(all(windows, target_env = "gnu"))]
    std::hint::black_box(&load_config::LOAD_CONFIG);
    panic_hook::install();
    let code = match cli::parse(std::env::args_os()) {
        Ok(cli) => commands::main(&cli),
        Err(error) => {
            // With no standard error there is nowhere to report this.
            let _ = error.print();
            // The exit code of clap for a usage error is 2, which is that of a plan with differences here.
            ExitCode::from(if error.use_stderr() { commands::FAILED } else { commands::IN_SYNC })
        }
    };
    log::end();
    code
}
