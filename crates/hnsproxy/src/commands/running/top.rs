//! `top`: shows on a terminal what is pending, the slowest HNS calls and the last changes.

use std::io::{self, IsTerminal};
use std::time::Duration;

use cluster_source::error_chain;
use serde_json::{Value, json};

use super::{page, parts, pause, readyz, server};
use crate::cli::{OutputForm, TopArgs};
use crate::clock::Clock;
use crate::commands::IN_SYNC;
use crate::error::CommandError;
use crate::http_client::Server;
use crate::output;
use crate::screen::Screen;
use crate::view::{self, TopView};

pub(in crate::commands) fn main(args: &TopArgs) -> Result<u8, CommandError> {
    let (server, form) = (server(&args.running), args.running.output.output);
    let is_text = matches!(form, OutputForm::Table | OutputForm::Wide);
    let (document, top) = get(&server)?;
    if args.once || !is_text || !io::stdout().is_terminal() {
        output::print(form, &document, |layout| view::top(&top, None, layout))?;
        return Ok(IN_SYNC);
    }
    refresh(&server, top)?;
    Ok(IN_SYNC)
}

/// The pages as one document.
fn get(server: &Server) -> Result<(Value, TopView), CommandError> {
    let document = json!({
        "status": readyz(server)?,
        "hns": page(server, "/debug/hns")?,
        "history": page(server, "/debug/history?limit=50")?,
    });
    let top = parts(server, &document)?;
    Ok((document, top))
}

/// Draws a frame each second until a signal ends the process.
fn refresh(server: &Server, mut top: TopView) -> Result<(), CommandError> {
    let (clock, screen) = (Clock::new(), Screen::open());
    let (mut rate, mut error) = (None, None);
    let mut drawn = clock.now().elapsed;
    loop {
        let text = view::top(&top, rate, output::terminal_layout());
        let text = error.as_ref().map_or_else(|| text.clone(), |error| format!("{error}\n\n{text}"));
        if screen.draw(&text)?.is_break() {
            return Ok(());
        }
        pause();
        match get(server) {
            Ok((_, next)) => {
                let now = clock.now().elapsed;
                rate = calls_per_second(&top, &next, now.saturating_sub(drawn));
                (top, error, drawn) = (next, None, now);
            }
            // The last frame stays below the error.
            Err(failed) => error = Some(error_chain(&failed)),
        }
    }
}

/// Returns `None` if hnsproxy has restarted between the two frames.
#[allow(clippy::cast_precision_loss, reason = "the number of calls in a second is small")]
fn calls_per_second(before: &TopView, now: &TopView, time: Duration) -> Option<f64> {
    let calls = now.hns.total_calls.checked_sub(before.hns.total_calls)?;
    let is_same = before.hns.process == now.hns.process && !time.is_zero();
    is_same.then(|| calls as f64 / time.as_secs_f64())
}
