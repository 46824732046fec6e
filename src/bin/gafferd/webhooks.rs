//! The webhooks that the configuration describes.

use gaffer::config::GafferdConfig;
use gaffer::config::gafferd::Webhooks;
use gaffer::log::Log;
use gaffer::webhooks::{Hooks, Notice, Settings, WebHooks, check_event, check_url};
use gaffer::{Error, Result};

/// What keeps them from running.
pub(crate) fn faults(config: &GafferdConfig) -> impl Iterator<Item = Error> {
    pairs(&config.webhooks).filter_map(|(event, url)| {
        let about = |e: Error| e.context(format_args!("[webhooks] {event}"));
        check_event(event).and_then(|()| check_url(url)).map_err(about).err()
    })
}

pub(crate) fn open(config: &GafferdConfig, log: &Log) -> Result<WebHooks> {
    let log = log.clone();
    let webhooks = WebHooks::with_listener(settings(&config.webhooks), move |notice| match notice {
        Notice::Recovered { .. } => log.info(notice),
        _ => log.warning(notice),
    });
    for (event, url) in pairs(&config.webhooks) {
        webhooks.hooks().register(event, url)?;
    }
    Ok(webhooks)
}

/// Does what the difference is: hooks that stay keep what waits for them, and those of others stay.
pub(crate) fn follow(hooks: &Hooks, old: &GafferdConfig, new: &GafferdConfig, log: &Log) {
    let (old, new) = (&old.webhooks, &new.webhooks);
    if settings(old) != settings(new) {
        hooks.configure(settings(new));
    }
    for (event, url) in pairs(new) {
        if let Err(e) = hooks.register(event, url) {
            log.error(format_args!("webhook {event}: {e}"));
        }
    }
    // After the new ones: a URL that has one of both is kept.
    let is_kept = |pair: &(&str, &str)| pairs(new).any(|new| new == *pair);
    for (event, url) in pairs(old).filter(|pair| !is_kept(pair)) {
        if let Some(id) = hooks.find(event, url) {
            hooks.unregister(id);
        }
    }
}

fn settings(webhooks: &Webhooks) -> Settings {
    let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let mut settings = Settings::default()
        .tries(webhooks.tries)
        .timeout(webhooks.timeout)
        .pause(webhooks.pause)
        .max_pause(webhooks.max_pause)
        .queue(count(webhooks.queue))
        // The file may name as many as it wants; the bound is for those who come later.
        .max_hooks(count(webhooks.max_hooks).saturating_add(pairs(webhooks).count()))
        .stop_timeout(webhooks.stop_timeout);
    settings.secret.clone_from(&webhooks.secret);
    settings
}

/// What the posts have in common, without the secret.
pub(crate) fn describe(webhooks: &Webhooks) -> String {
    format!(
        "{} tries of {} s, pauses of {} to {} s, {} wait for a URL, {} more hooks, the end waits {} s{}",
        webhooks.tries,
        webhooks.timeout.as_secs_f64(),
        webhooks.pause.as_secs_f64(),
        webhooks.max_pause.as_secs_f64(),
        webhooks.queue,
        webhooks.max_hooks,
        webhooks.stop_timeout.as_secs_f64(),
        if webhooks.secret.is_some() { ", signed" } else { "" }
    )
}

fn pairs(webhooks: &Webhooks) -> impl Iterator<Item = (&str, &str)> {
    webhooks.hooks.iter().flat_map(|hook| hook.urls.iter().map(|url| (hook.event.as_str(), url.as_str())))
}
