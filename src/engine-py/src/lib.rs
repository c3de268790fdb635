//! The seam: the engine as the Python module `audisp_pyaudit._engine`.
//!
//! Bytes in, frames out; the interpreter lock is released while the engine works. Nothing is decided here.
#![forbid(unsafe_code)]

mod options;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use pyaudit_engine as engine;
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::options::read_options;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Engine>()?;
    module.add_class::<Frames>()?;
    module.add_class::<Frame>()?;
    module.add("SCHEMA", engine::SCHEMA)?;
    module.add("ECS_VERSION", engine::ECS_VERSION)?;
    module.add("KINDS", PyTuple::new(module.py(), engine::kinds())?)?;
    module.add("RECORD_TYPES", PyTuple::new(module.py(), engine::record_types())?)?;
    module.add("FIELDS", PyTuple::new(module.py(), engine::fields())?)?;
    module.add_function(wrap_pyfunction!(number_of, module)?)?;
    module.add_function(wrap_pyfunction!(crc32, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}

#[pyfunction]
fn number_of(kind: &str, word: &str, arch: &str) -> Option<String> {
    engine::number_of(kind, word, arch)
}

/// The interpreter's own takes fifteen times as long, where its zlib is Debian's.
#[pyfunction]
fn crc32(data: &[u8]) -> u32 {
    crc32fast::hash(data)
}

#[pyclass(module = "audisp_pyaudit._engine", frozen)]
struct Engine {
    engine: Mutex<engine::Engine>,
}

impl Engine {
    /// After a panic the engine's insides may be half changed: the caller has to build a fresh one.
    fn lock(&self) -> PyResult<MutexGuard<'_, engine::Engine>> {
        self.engine.lock().map_err(|_| PyRuntimeError::new_err("the engine failed before; build a fresh one"))
    }

    fn frames(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut engine::Engine) -> engine::Frames + Send,
    ) -> PyResult<Frames> {
        let frames = py.detach(|| Ok::<_, PyErr>(work(&mut *self.lock()?)))?;
        Ok(Frames { frames: Arc::new(frames) })
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (options, state=None))]
    fn new(options: &Bound<'_, PyDict>, state: Option<&[u8]>) -> PyResult<Self> {
        let mut inner = engine::Engine::new(read_options(options)?).map_err(PyValueError::new_err)?;
        if let Some(state) = state {
            inner.restore(state).map_err(|e| PyValueError::new_err(e.to_string()))?;
        }
        Ok(Self { engine: Mutex::new(inner) })
    }

    fn feed(&self, py: Python<'_>, chunk: &[u8]) -> PyResult<Frames> {
        self.frames(py, |engine| engine.feed(chunk))
    }

    fn feed_unparsed(&self, py: Python<'_>, line: &[u8]) -> PyResult<Frames> {
        self.frames(py, |engine| engine.feed_unparsed(line))
    }

    fn tick(&self, py: Python<'_>, now_ms: u64) -> PyResult<Frames> {
        self.frames(py, |engine| engine.tick(now_ms))
    }

    fn end(&self, py: Python<'_>) -> PyResult<Frames> {
        self.frames(py, engine::Engine::end)
    }

    fn close(&self, py: Python<'_>) -> PyResult<Frames> {
        self.frames(py, engine::Engine::close)
    }

    fn wants(&self) -> PyResult<Vec<(&'static str, String)>> {
        let wants = self.lock()?.wants();
        Ok(wants.into_iter().map(|(kind, id)| (kind.as_str(), id.to_string())).collect())
    }

    #[pyo3(signature = (kind, key, value))]
    fn tell(&self, kind: &str, key: &str, value: Option<&str>) -> PyResult<()> {
        let kind = match kind {
            "uid" => engine::NameKind::User,
            "gid" => engine::NameKind::Group,
            _ => return Err(PyValueError::new_err(format!("kind is uid or gid, not {kind:?}"))),
        };
        let id = key.parse().map_err(|_| PyValueError::new_err(format!("key is no user or group id: {key:?}")))?;
        self.lock()?.tell(kind, id, value);
        Ok(())
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let state = self.lock()?.state();
        Ok(PyBytes::new(py, &state))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.lock()?.stats();
        let dict = PyDict::new(py);
        for (name, value) in stats.entries() {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }
}

/// Bytes, how many frames, how many have which routes, their earliest and latest time.
type PackedFrames<'py> = (Bound<'py, PyBytes>, usize, HashMap<u64, usize>, Option<(i64, i64)>);
/// Document, id and host.
type Part<'py> = (Option<Bound<'py, PyBytes>>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pyclass(module = "audisp_pyaudit._engine", frozen, sequence)]
struct Frames {
    frames: Arc<engine::Frames>,
}

#[pymethods]
impl Frames {
    fn __len__(&self) -> usize {
        self.frames.len()
    }

    fn __getitem__(&self, index: isize) -> PyResult<Frame> {
        let index = if index < 0 { index + self.frames.len() as isize } else { index };
        let index = usize::try_from(index).ok().filter(|&index| index < self.frames.len());
        let index = index.ok_or_else(|| PyIndexError::new_err("there is no such frame"))?;
        Ok(Frame { frames: Arc::clone(&self.frames), index })
    }

    #[pyo3(signature = (framing, sink=None))]
    fn blob<'py>(&self, py: Python<'py>, framing: &str, sink: Option<u32>) -> PyResult<Bound<'py, PyBytes>> {
        let kind = match framing {
            "json-lines" => engine::Framing::JsonLines,
            "msgpack" => engine::Framing::Msgpack,
            "json-prefixed" => engine::Framing::JsonPrefixed,
            "msgpack-prefixed" => engine::Framing::MsgpackPrefixed,
            _ => return Err(PyValueError::new_err(format!("there is no framing {framing:?}"))),
        };
        check_sink(sink)?;
        let blob = self.frames.blob(kind, sink);
        let blob =
            blob.ok_or_else(|| PyValueError::new_err(format!("{framing} was not among the engine's encodings")))?;
        Ok(PyBytes::new(py, &blob))
    }

    fn count_for(&self, sink: u32) -> PyResult<usize> {
        check_sink(Some(sink))?;
        Ok(self.frames.count_for(sink))
    }

    fn heads(&self) -> Self {
        Self { frames: Arc::new(self.frames.heads()) }
    }

    #[getter]
    fn size(&self) -> usize {
        self.frames.size()
    }

    fn indexes_for(&self, sink: u32) -> PyResult<Vec<usize>> {
        check_sink(Some(sink))?;
        Ok(self.frames.indexes_for(sink))
    }

    /// Most sinks want all of a batch: then it is the same batch.
    fn since(&self, sequence: u64) -> Self {
        let all = (0..self.frames.len()).all(|index| self.frames.get(index).is_some_and(|f| f.sequence >= sequence));
        let frames = if all { Arc::clone(&self.frames) } else { Arc::new(self.frames.since(sequence)) };
        Self { frames }
    }

    /// Most batches have frames of one class only: then it is the same batch.
    fn of_class(&self, klass: &str) -> PyResult<Self> {
        let keep = is_keep(klass)?;
        let all = (0..self.frames.len()).all(|index| self.frames.get(index).is_some_and(|frame| frame.keep == keep));
        let frames = if all { Arc::clone(&self.frames) } else { Arc::new(self.frames.of_class(keep)) };
        Ok(Self { frames })
    }

    fn span(&self) -> Option<(i64, i64)> {
        self.frames.span()
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)] // a list from Python is extracted by value
    fn joined(py: Python<'_>, batches: Vec<PyRef<'_, Frames>>, first: u64) -> Self {
        let batches: Vec<Arc<engine::Frames>> = batches.iter().map(|each| Arc::clone(&each.frames)).collect();
        let all = py.detach(|| {
            let batches: Vec<&engine::Frames> = batches.iter().map(|each| &**each).collect();
            engine::Frames::joined(&batches, first)
        });
        Self { frames: Arc::new(all) }
    }

    fn packed<'py>(&self, py: Python<'py>, klass: &str) -> PyResult<PackedFrames<'py>> {
        let keep = is_keep(klass)?;
        let engine::Packed { bytes, count, routes, span } = py.detach(|| engine::pack(&self.frames, keep));
        Ok((PyBytes::new(py, &bytes), count, routes, span))
    }

    /// All at once: what a sink needs of each frame, in one call for a whole slice.
    #[allow(clippy::needless_pass_by_value)] // as above
    fn parts<'py>(&self, py: Python<'py>, indexes: Vec<usize>, encoding: &str) -> PyResult<Vec<Part<'py>>> {
        let json = match encoding {
            "json" => true,
            "msgpack" => false,
            _ => return Err(PyValueError::new_err(format!("there is no encoding {encoding:?}"))),
        };
        let part = |index| {
            let frame = self.frames.get(index).ok_or_else(|| PyIndexError::new_err("there is no such frame"))?;
            let document = if json { frame.json } else { frame.msgpack };
            let id = PyBytes::new(py, frame.id.as_bytes());
            Ok((document.map(|bytes| PyBytes::new(py, bytes)), id, PyBytes::new(py, frame.host.as_bytes())))
        };
        indexes.into_iter().map(part).collect()
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)] // as above
    fn unpacked(py: Python<'_>, packed: Vec<PyBackedBytes>) -> PyResult<Self> {
        let frames = py.detach(|| {
            let packed: Vec<&[u8]> = packed.iter().map(|each| &**each).collect();
            engine::unpack(&packed)
        });
        Ok(Self { frames: Arc::new(frames.map_err(PyValueError::new_err)?) })
    }

    /// Single frames of other batches, in the order given.
    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)] // as above
    fn collected(frames: Vec<PyRef<'_, Frame>>) -> Self {
        let parts: Vec<(&engine::Frames, usize)> = frames.iter().map(|each| (&*each.frames, each.index)).collect();
        Self { frames: Arc::new(engine::Frames::collected(&parts)) }
    }

    #[staticmethod]
    #[pyo3(signature = (*, identity, host, time_ms, routes, json=None, msgpack=None))]
    fn single(
        identity: &str,
        host: &str,
        time_ms: i64,
        routes: u64,
        json: Option<&[u8]>,
        msgpack: Option<&[u8]>,
    ) -> Self {
        // Our own events: of no category and no session, made of no record, kept longest.
        let head = engine::NewHead {
            id: identity,
            host,
            session: None,
            category: "",
            time_ms,
            keep: true,
            records: 0,
            routes,
        };
        Self { frames: Arc::new(engine::Frames::single(&head, json, msgpack)) }
    }
}

fn is_keep(klass: &str) -> PyResult<bool> {
    match klass {
        "keep" => Ok(true),
        "normal" => Ok(false),
        _ => Err(PyValueError::new_err(format!("there is no class {klass:?}"))),
    }
}

fn check_sink(sink: Option<u32>) -> PyResult<()> {
    match sink {
        Some(64..) => Err(PyValueError::new_err("a sink's index is at most 63")),
        _ => Ok(()),
    }
}

#[pyclass(module = "audisp_pyaudit._engine", frozen)]
struct Frame {
    frames: Arc<engine::Frames>,
    index: usize,
}

impl Frame {
    fn view(&self) -> engine::Frame<'_> {
        self.frames.get(self.index).expect("a Frame is made with an index that exists")
    }
}

#[pymethods]
impl Frame {
    #[getter]
    fn id(&self) -> &str {
        self.view().id
    }

    #[getter]
    fn host(&self) -> &str {
        self.view().host
    }

    #[getter]
    fn session(&self) -> Option<&str> {
        self.view().session
    }

    #[getter]
    fn category(&self) -> &str {
        self.view().category
    }

    #[getter]
    fn sequence(&self) -> u64 {
        self.view().sequence
    }

    #[getter]
    fn time_ms(&self) -> i64 {
        self.view().time_ms
    }

    #[getter]
    fn klass(&self) -> &'static str {
        if self.view().keep {
            "keep"
        } else {
            "normal"
        }
    }

    #[getter]
    fn records(&self) -> u32 {
        self.view().records
    }

    #[getter]
    fn routes(&self) -> u64 {
        self.view().routes
    }

    #[getter]
    fn json<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.view().json.map(|bytes| PyBytes::new(py, bytes))
    }

    #[getter]
    fn msgpack<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.view().msgpack.map(|bytes| PyBytes::new(py, bytes))
    }
}
