//! How does a server command start, tell where it is, and end?
//!
//! Settings → configuration → log → start → one line of addresses → wait for
//! SIGINT or SIGTERM → stop. SIGHUP reads log level and certificates again. Signals are
//! listened for before anything starts: one that comes early ends the program
//! in order right after its start instead of cutting it off.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    console::Console,
    failure::{Failure, Outcome},
    features::FeaturesArguments,
    flags::{DevTable, EdgeTable, StoreTable, SurfaceFlags, SurfaceTable},
};
use crate::{
    app,
    clock::Ambient,
    config::{
        DevConfig, DevInfo, EdgeConfig, Faults, LogConfig, Settings, StoreConfig, TracesConfig,
        Variables,
    },
    snapshot::flags::FlagToken,
    telemetry::{logs, traces::Exporter},
};

/// Arguments of `flowgate dev`.
#[derive(Debug, Args)]
pub(super) struct DevArguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    flags: SurfaceFlags<DevTable>,
}

/// Arguments of `flowgate edge`.
#[derive(Debug, Args)]
pub(super) struct EdgeArguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    flags: SurfaceFlags<EdgeTable>,
    #[command(flatten)]
    features: FeaturesArguments,
}

/// Arguments of `flowgate store`.
#[derive(Debug, Args)]
pub(super) struct StoreArguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    flags: SurfaceFlags<StoreTable>,
}

/// What all three take.
#[derive(Debug, Args)]
struct Common {
    /// Settings file; `flowgate config print-defaults` prints one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one line of JSON when ready, instead of text.
    #[arg(long)]
    json: bool,
}

/// `flowgate dev`.
pub(super) fn dev(
    arguments: &DevArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let read = || DevConfig::build(settings(&arguments.common, &arguments.flags, variables));
    let config = read()?;
    let (signals, log, _) = prepare(config.log(), None, "dev")?;
    let data = config.data().to_owned();
    let program = app::Dev::start(config, Ambient::system()).map_err(|e| not_started("dev", &e))?;
    let info = program.info();
    if program.admin_key_is_new() {
        console
            .complain("the admin key in dev.json was not valid any more: another stands there now");
    }
    console.print(&if arguments.common.json {
        one_line(&serde_json::to_value(&info).map_err(|error| {
            Failure::undone("the addresses cannot be written as JSON").because(&error)
        })?)
    } else {
        dev_text(&info, &data)
    })?;
    // Both of its programs speak in the clear.
    let renew = || ();
    signals.wait(&log, || read().map(|config| config.log().clone()), renew);
    program.stop();
    Ok(Outcome::Done)
}

/// `flowgate edge`.
pub(super) fn edge(
    arguments: &EdgeArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    if let Some(given) = arguments.features.given()? {
        return offline(arguments, &given, variables, console);
    }
    let read = || EdgeConfig::build(settings(&arguments.common, &arguments.flags, variables));
    let config = read()?;
    let (signals, log, _traces) = prepare(config.log(), config.traces(), "edge")?;
    let program =
        app::Edge::start(config, Ambient::system()).map_err(|e| not_started("edge", &e))?;
    let addresses = program.addresses();
    console.print(&where_it_is("edge", &addresses, arguments.common.json))?;
    let renew = || program.renew();
    signals.wait(&log, || read().map(|config| config.log().clone()), renew);
    program.stop();
    Ok(Outcome::Done)
}

/// `flowgate edge --features`.
fn offline(
    arguments: &EdgeArguments,
    (path, tokens): &(PathBuf, Vec<FlagToken>),
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let settings = || settings(&arguments.common, &arguments.flags, variables);
    let read = || EdgeConfig::offline(settings(), path);
    let config = read()?;
    let (signals, log, _traces) = prepare(config.log(), config.traces(), "edge")?;
    let program = app::Offline::start(&config, path.clone(), tokens.clone(), Ambient::system())
        .map_err(|e| not_started("edge", &e))?;
    let addresses = program.addresses();
    console.print(&where_it_is("edge", &addresses, arguments.common.json))?;
    let renew = || program.renew();
    signals.wait(&log, || read().map(|config| config.log().clone()), renew);
    program.stop();
    Ok(Outcome::Done)
}

/// `flowgate store`.
pub(super) fn store(
    arguments: &StoreArguments,
    variables: &Variables,
    console: &mut Console,
) -> Result<Outcome, Failure> {
    let read = || StoreConfig::build(settings(&arguments.common, &arguments.flags, variables));
    let config = read()?;
    let (signals, log, _traces) = prepare(config.log(), config.traces(), "store")?;
    let program =
        app::Store::start(config, Ambient::system()).map_err(|e| not_started("store", &e))?;
    let addresses = program.addresses();
    console.print(&where_it_is("store", &addresses, arguments.common.json))?;
    let renew = || program.renew();
    signals.wait(&log, || read().map(|config| config.log().clone()), renew);
    program.stop();
    Ok(Outcome::Done)
}

/// All layers of a surface, the later beating the earlier.
fn settings<S: SurfaceTable>(
    common: &Common,
    flags: &SurfaceFlags<S>,
    variables: &Variables,
) -> Settings {
    let mut settings = Settings::new(S::TABLE);
    if let Some(file) = &common.config {
        settings = settings.file(file);
    }
    settings.variables(variables).flags(&flags.pairs)
}

/// Signals, the log, and the exporter of traces, which sends what is left when
/// it is dropped at the end.
fn prepare(
    log: &LogConfig,
    traces: Option<&TracesConfig>,
    role: &'static str,
) -> Result<(Signals, logs::LogHandle, Option<Exporter>), Failure> {
    let signals = Signals::listen()
        .map_err(|error| Failure::undone("signals cannot be listened for").because(&error))?;
    let exporter = traces
        .map(|traces| Exporter::start(traces, role))
        .transpose();
    let exporter = exporter.map_err(|error| Failure::undone("no traces").because(&error))?;
    let log = logs::init(log, exporter.as_ref())
        .map_err(|error| Failure::undone("no log").because(&error))?;
    Ok((signals, log, exporter))
}

fn not_started(name: &str, error: &app::StartError) -> Failure {
    Failure::undone(format!("{name} could not be started")).because(error)
}

/// The addresses of an edge or a store.
fn where_it_is(name: &str, addresses: &app::Addresses, as_json: bool) -> String {
    let urls = [
        ("edge_url", &addresses.edge),
        ("edge_admin_url", &addresses.admin),
        ("store_url", &addresses.store),
    ];
    let known = urls
        .into_iter()
        .filter_map(|(member, url)| Some((member, url.as_deref()?)));
    if as_json {
        let members = known.map(|(member, url)| (member.to_owned(), json!(url)));
        return one_line(&Value::Object(members.collect()));
    }
    let listed: Vec<String> = known
        .map(|(member, url)| {
            format!(
                "{} {url}",
                member.trim_end_matches("_url").replace('_', " ")
            )
        })
        .collect();
    format!("flowgate {name} is listening: {}\n", listed.join(", "))
}

fn one_line(value: &Value) -> String {
    format!("{value}\n")
}

/// What `flowgate dev` prints when ready; its curl line works as it stands.
fn dev_text(info: &DevInfo, data: &Path) -> String {
    let key = info.key("development", "blocks").unwrap_or_default();
    format!(
        "flowgate dev is ready\n\
         \n  edge        {edge}  (applications connect here)\
         \n  edge admin  {admin}  (/health, /ready, /metrics, /status)\
         \n  store       {store}  (flowgate import, export, key, user)\
         \n  keys        {file}\
         \n\nAll of it is spoken without TLS: keep it on this machine (flowgate edge and flowgate store have TLS).\
         \nThe web console is not part of this version.\n\
         \nTry it:\n\
         \n  curl -s -H 'x-api-key: {key}' \
         '{edge}/v2/flow/onboarding-tour?tag=latest&userIdentifier=ada&include=block'\n\
         \nCtrl-C stops it; what you did is kept in {data}.\n",
        edge = info.edge_url,
        admin = info.edge_admin_url,
        store = info.store_url,
        file = data.join("dev.json").display(),
        data = data.display(),
    )
}

/// The signals of this process.
struct Signals {
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let guard = runtime.enter();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let hangup = signal(SignalKind::hangup())?;
        drop(guard);
        Ok(Self {
            runtime,
            interrupt,
            terminate,
            hangup,
        })
    }

    /// Returns when the process is asked to end.
    fn wait(
        mut self,
        log: &logs::LogHandle,
        read: impl Fn() -> Result<LogConfig, Faults>,
        renew: impl Fn(),
    ) {
        self.runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = self.interrupt.recv() => return,
                    _ = self.terminate.recv() => return,
                    _ = self.hangup.recv() => {
                        again(log, &read);
                        renew();
                    }
                }
            }
        });
    }
}

/// Reads the log level again; settings with faults change nothing.
fn again(log: &logs::LogHandle, read: impl Fn() -> Result<LogConfig, Faults>) {
    match read() {
        Ok(config) => match log.set_level(config.level) {
            Ok(()) => tracing::info!(level = ?config.level, "the log level was read again"),
            Err(error) => tracing::warn!(%error, "the log level stays"),
        },
        Err(faults) => tracing::warn!(%faults, "the settings have faults, the log level stays"),
    }
}
