//! What Python tells an engine when it is built: a dict of which no key passes that nobody knows.

use pyaudit_engine as engine;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::is_keep;

/// A value of an options dict, with the key in the error.
fn get<'py, T>(dict: &Bound<'py, PyDict>, key: &str) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    let Some(value) = dict.get_item(key)?.filter(|value| !value.is_none()) else { return Ok(None) };
    value.extract().map(Some).map_err(|error: T::Error| {
        let error: PyErr = error.into();
        PyValueError::new_err(format!("options: {key}: {error}"))
    })
}

fn sub_dict<'py>(dict: &Bound<'py, PyDict>, key: &str, known: &[&str]) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(value) = dict.get_item(key)?.filter(|value| !value.is_none()) else { return Ok(None) };
    let value =
        value.cast_into::<PyDict>().map_err(|_| PyValueError::new_err(format!("options: {key}: not a dict")))?;
    check_keys(&value, key, known)?;
    Ok(Some(value))
}

fn check_keys(dict: &Bound<'_, PyDict>, of: &str, known: &[&str]) -> PyResult<()> {
    for key in dict.keys() {
        let key: String = key.extract()?;
        if !known.contains(&key.as_str()) {
            return Err(PyValueError::new_err(format!("options: {of}: there is no {key:?}")));
        }
    }
    Ok(())
}

pub fn read_options(dict: &Bound<'_, PyDict>) -> PyResult<engine::Options> {
    check_keys(
        dict,
        "options",
        &[
            "host",
            "process_start_ms",
            "encodings",
            "include_raw",
            "names",
            "replay",
            "limits",
            "timing",
            "sinks",
            "rules",
            "fields",
        ],
    )?;
    let mut options = engine::Options::default();
    if let Some(host) = sub_dict(dict, "host", &["name", "id", "nodes", "boot_id", "architecture"])? {
        options.host.name = get(&host, "name")?.unwrap_or_default();
        options.host.id = get(&host, "id")?.unwrap_or_default();
        options.host.nodes = get(&host, "nodes")?.unwrap_or_default();
        options.host.boot_id = get(&host, "boot_id")?.unwrap_or_default();
        options.host.architecture = get(&host, "architecture")?.unwrap_or_default();
    }
    options.process_start_ms = get(dict, "process_start_ms")?.unwrap_or(0);
    for encoding in get::<Vec<String>>(dict, "encodings")?.unwrap_or_default() {
        match encoding.as_str() {
            "json" => options.json = true,
            "msgpack" => options.msgpack = true,
            _ => return Err(PyValueError::new_err(format!("options: encodings: there is no {encoding:?}"))),
        }
    }
    options.include_raw = match get::<String>(dict, "include_raw")?.as_deref() {
        None | Some("unparsed") => engine::IncludeRaw::Unparsed,
        Some("never") => engine::IncludeRaw::Never,
        Some("always") => engine::IncludeRaw::Always,
        Some(other) => return Err(PyValueError::new_err(format!("options: include_raw: there is no {other:?}"))),
    };
    options.ask_names = match get::<String>(dict, "names")?.as_deref() {
        None | Some("off") => false,
        Some("ask") => true,
        Some(other) => return Err(PyValueError::new_err(format!("options: names: there is no {other:?}"))),
    };
    if get(dict, "replay")?.unwrap_or(false) {
        options.restore = engine::Restore::Replay;
    }
    read_limits(dict, &mut options.limits)?;
    read_timing(dict, &mut options.timing)?;
    options.sinks = get(dict, "sinks")?.unwrap_or_default();
    if let Some(rules) = dict.get_item("rules")?.filter(|rules| !rules.is_none()) {
        let rules = rules.cast_into::<PyList>().map_err(|_| PyValueError::new_err("options: rules: not a list"))?;
        options.rules = rules.iter().map(|rule| read_rule(&rule)).collect::<PyResult<_>>()?;
    }
    options.fields = get::<Vec<(String, String)>>(dict, "fields")?.unwrap_or_default();
    Ok(options)
}

fn read_limits(dict: &Bound<'_, PyDict>, limits: &mut engine::Limits) -> PyResult<()> {
    let known = ["line_bytes", "events", "event_records", "event_bytes", "held_bytes"];
    let Some(given) = sub_dict(dict, "limits", &known)? else { return Ok(()) };
    let targets = [
        &mut limits.line_bytes,
        &mut limits.events,
        &mut limits.event_records,
        &mut limits.event_bytes,
        &mut limits.held_bytes,
    ];
    for (key, target) in known.iter().zip(targets) {
        if let Some(value) = get::<usize>(&given, key)? {
            // Offsets within an event are 32-bit, and decoding may double it.
            if value == 0 || value > 1 << 30 {
                return Err(PyValueError::new_err(format!("options: limits: {key} is not within 1 and 2^30: {value}")));
            }
            *target = value;
        }
    }
    Ok(())
}

fn read_timing(dict: &Bound<'_, PyDict>, timing: &mut engine::Timing) -> PyResult<()> {
    let known = ["grace_ms", "event_timeout_ms", "idle_ms", "name_wait_ms", "name_ttl_ms", "name_negative_ttl_ms"];
    let Some(given) = sub_dict(dict, "timing", &known)? else { return Ok(()) };
    let number = |key: &str| -> PyResult<Option<u32>> { get(&given, key) };
    if let Some(value) = number("grace_ms")? {
        timing.grace_ms = i64::from(value);
    }
    if let Some(value) = number("event_timeout_ms")? {
        timing.event_timeout_ms = i64::from(value);
    }
    for (key, target) in known[2..].iter().zip([
        &mut timing.idle_ms,
        &mut timing.name_wait_ms,
        &mut timing.name_ttl_ms,
        &mut timing.name_negative_ttl_ms,
    ]) {
        if let Some(value) = number(key)? {
            *target = u64::from(value);
        }
    }
    Ok(())
}

fn read_rule(rule: &Bound<'_, PyAny>) -> PyResult<engine::RuleOptions> {
    let rule = rule.cast::<PyDict>().map_err(|_| PyValueError::new_err("options: rules: a rule is not a dict"))?;
    check_keys(rule, "rules", &["name", "match", "drop", "route", "class"])?;
    let mut matches = Vec::new();
    if let Some(given) = rule.get_item("match")? {
        let given =
            given.cast_into::<PyDict>().map_err(|_| PyValueError::new_err("options: rules: match is not a dict"))?;
        for (field, values) in given.iter() {
            matches.push((field.extract()?, values.extract()?));
        }
    }
    Ok(engine::RuleOptions {
        name: get(rule, "name")?.unwrap_or_default(),
        matches,
        drop: get(rule, "drop")?.unwrap_or(false),
        route: get(rule, "route")?,
        keep: get::<String>(rule, "class")?.map(|klass| is_keep(&klass)).transpose()?,
    })
}
