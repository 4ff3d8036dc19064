//! `fanfare store`: what an operator asks of a store's file.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use fanfare_store::{StoreError, Summary, compact, inspect, salvage, verify};

/// `fanfare store`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  fanfare store inspect /var/lib/fanfare/fanfare.redb
  fanfare store verify /var/lib/fanfare/fanfare.redb
  fanfare store compact /var/lib/fanfare/fanfare.redb

The server must not be running on that file; ask a copy otherwise.
Exit codes: 0 all is well, 1 something is damaged or could not be done.")]
pub struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum StoreCommand {
    /// Tell what is in it; changes nothing.
    Inspect {
        /// The store's file.
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Check every page and every record; changes nothing.
    Verify {
        /// The store's file.
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// Give unused pages back to the file system.
    Compact {
        /// The store's file.
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// Copy what is whole out of a damaged file into a new one; the damaged one stays beside it.
    Salvage {
        /// The store's file.
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
}

/// Does it and says what came of it.
pub fn run(args: &StoreArgs) -> ExitCode {
    let done = match &args.command {
        StoreCommand::Inspect { path, json } => inspect(path).map(|summary| {
            let text = if *json { as_json(&summary) } else { as_text(path, &summary) };
            say(&text)
        }),
        StoreCommand::Verify { path } => check(path),
        StoreCommand::Compact { path } => {
            note("compacting; this may take as long as writing the whole file");
            compact(path).map(|done| say(&format!("{} -> {} bytes", done.before_bytes, done.after_bytes)))
        }
        StoreCommand::Salvage { path } => save(path),
    };
    done.unwrap_or_else(|error| {
        note(&format!("error: {error}"));
        ExitCode::FAILURE
    })
}

fn check(path: &Path) -> Result<ExitCode, StoreError> {
    let mut progress = Progress::default();
    let verified = verify(path, &mut |step| progress.tell(step))?;
    let records = &verified.records;
    say(&format!(
        "pages {:?}; {} rooms, {} messages, {} dead letters, {} ids, {} states of services",
        verified.pages, records.rooms, records.messages, records.dead_letters, records.ids, records.states
    ));
    for damage in &records.damage {
        say(&format!("damaged: {damage}"));
    }
    if verified.is_sound() {
        return Ok(say("everything is sound"));
    }
    say("not everything is sound: `fanfare store salvage` copies what is");
    Ok(ExitCode::FAILURE)
}

fn save(path: &Path) -> Result<ExitCode, StoreError> {
    let mut progress = Progress::default();
    let salvaged = salvage(path, &mut |step| progress.tell(step))?;
    let records = &salvaged.records;
    for damage in &records.damage {
        say(&format!("lost: {damage}"));
    }
    Ok(say(&format!(
        "saved {} rooms with {} messages, {} dead letters, {} ids, {} states of services; the damaged file is {}",
        records.rooms,
        records.messages,
        records.dead_letters,
        records.ids,
        records.states,
        salvaged.damaged_path.display()
    )))
}

fn as_text(path: &Path, summary: &Summary) -> String {
    let Summary {
        format,
        file_bytes,
        rooms,
        messages,
        message_bytes,
        subscribers,
        dead_letters,
        ids,
        states,
        largest,
    } = summary;
    let mut text = format!(
        "{}\n  format        {format}\n  file          {file_bytes} bytes\n  rooms         {rooms}\n  \
         messages      {messages}, {message_bytes} bytes\n  subscribers   {subscribers}\n  \
         dead letters  {dead_letters}\n  message ids   {ids}",
        path.display()
    );
    for (service, rooms) in states {
        text += &format!("\n  {service:<12}  {rooms}");
    }
    if !largest.is_empty() {
        text += "\n\n       bytes  messages  room";
    }
    for room in largest {
        text += &format!("\n{:>12}  {:>8}  {}", room.bytes, room.messages, room.room);
    }
    text
}

fn as_json(summary: &Summary) -> String {
    let largest = summary.largest.iter();
    let largest = largest
        .map(|of| serde_json::json!({ "room": of.room, "messages": of.messages, "bytes": of.bytes }))
        .collect::<Vec<_>>();
    serde_json::json!({
        "format": summary.format,
        "file_bytes": summary.file_bytes,
        "rooms": summary.rooms,
        "messages": summary.messages,
        "message_bytes": summary.message_bytes,
        "subscribers": summary.subscribers,
        "dead_letters": summary.dead_letters,
        "message_ids": summary.ids,
        "states": summary.states,
        "largest": largest,
    })
    .to_string()
}

/// Says every two seconds where it is.
struct Progress {
    told: std::time::Instant,
    steps: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { told: std::time::Instant::now(), steps: 0 }
    }
}

impl Progress {
    fn tell(&mut self, step: &str) {
        self.steps += 1;
        if self.told.elapsed() > std::time::Duration::from_secs(2) {
            self.told = std::time::Instant::now();
            note(&format!("{} done, now {step}", self.steps));
        }
    }
}

/// A reader that has gone is no failure.
fn say(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
