//! More than one machine: the points of a sweep as jobs of an engine that users have, Slurm or Snakemake.
//!
//! A job is a call of this program on every n-th point of the sweep. Everything goes through one folder that all machines
//! see:
//!
//! | file | what |
//! |---|---|
//! | `task.json` | the sweep |
//! | `job.sh` or `Snakefile` | what the engine is given |
//! | `slice-I.json` | what job I found |
//! | `job-I.log` | what job I said |
//! | `cache/` | finished accuracies and syntheses, unless the task has a cache of its own |

use super::network::Network;
use super::outcome::Outcome;
use super::task::Task;
use crate::cosim::{Cache, tools};
use crate::{Error, Result, output};
use std::path::{Path, PathBuf};

/// What starts the jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Engine {
    /// A job array of `sbatch`.
    Slurm,
    /// A workflow that `snakemake` runs: here, or by a profile on a cluster or in a cloud.
    Snakemake,
}

/// How jobs are started.
#[derive(Clone, Debug)]
pub struct Distributed {
    /// What starts them.
    pub engine: Engine,
    /// A folder that all machines see under the same name.
    pub folder: PathBuf,
    /// How many there are.
    pub jobs: usize,
    /// This program, as all machines find it.
    pub program: PathBuf,
    /// More arguments of the engine, such as `--partition=short`.
    pub options: Vec<String>,
}

/// The exit code of points whose job left no results: its tool, this program, has failed.
const LOST: u8 = 3;

/// The name of job `job`'s results in the shared folder.
fn slice_file(job: usize) -> String {
    format!("slice-{job}.json")
}

impl Engine {
    /// The command.
    pub fn program(self) -> &'static str {
        match self {
            Self::Slurm => "sbatch",
            Self::Snakemake => "snakemake",
        }
    }

    /// The file that the command is given.
    fn script_file(self) -> &'static str {
        match self {
            Self::Slurm => "job.sh",
            Self::Snakemake => "Snakefile",
        }
    }
}

impl Distributed {
    /// Starts the points of `task`, waits for all jobs, and gathers their rows.
    ///
    /// A job that leaves no results fails its own points only; started again, it finds in the cache what it finished.
    ///
    /// # Errors
    /// Without the engine, or when it refuses the jobs.
    pub fn run(&self, task: &Task) -> Result<Outcome> {
        std::fs::create_dir_all(&self.folder).map_err(Error::io(&self.folder))?;
        let folder = self.folder.canonicalize().map_err(Error::io(&self.folder))?;
        let task = absolute(task, &folder)?;
        task.validate(&Network::open(&task.model)?)?;
        for job in 0..self.jobs {
            let stale = folder.join(slice_file(job));
            if stale.exists() {
                std::fs::remove_file(&stale).map_err(Error::io(&stale))?;
            }
        }
        let path = folder.join("task.json");
        let json = serde_json::to_vec_pretty(&task).map_err(|e| Error::bad_file(&path, e.to_string()))?;
        output::write(&path, &json)?;
        let script = folder.join(self.engine.script_file());
        let program = self.program.canonicalize().map_err(Error::io(&self.program))?;
        let (text, mut arguments) = match self.engine {
            Engine::Slurm => (self.job(&quoted(&program)?, &quoted(&folder)?), self.sbatch(&folder)),
            Engine::Snakemake => (self.workflow(&program, task.jobs)?, snakemake()),
        };
        output::write(&script, text.as_bytes())?;
        arguments.extend(self.options.iter().cloned());
        if self.engine == Engine::Slurm {
            arguments.push(script.display().to_string());
        }
        let output = tools::call(self.engine.program(), &arguments, Some(&folder))?;
        let gathered = self.gather(&task, &folder)?;
        let nothing = gathered.rows.iter().all(|r| r.config.is_none() && r.refused.is_none());
        if !output.status.success() && nothing {
            let said = [&output.stderr[..], &output.stdout[..]].concat();
            let reason = format!("{}; logs are in {}", tools::first_error(&said), folder.display());
            return Err(Error::ToolFailed { tool: self.engine.program().into(), reason });
        }
        Ok(gathered)
    }

    fn sbatch(&self, folder: &Path) -> Vec<String> {
        vec![
            "--wait".to_string(),
            format!("--array=0-{}", self.jobs - 1),
            "--job-name=vgg2rtl-explore".into(),
            format!("--output={}/job-%a.log", folder.display()),
        ]
    }

    fn job(&self, program: &str, folder: &str) -> String {
        let jobs = self.jobs;
        format!(
            "#!/bin/sh\n\
             # Written by vgg2rtl explore: job i of {jobs} runs every {jobs}th point of the sweep.\n\
             i=$SLURM_ARRAY_TASK_ID\n\
             exec {program} explore --task {folder}/task.json --slice \"$i/{jobs}\" \
             --outcome {folder}/slice-\"$i\".json\n"
        )
    }

    fn workflow(&self, program: &Path, threads: usize) -> Result<String> {
        let text = program.to_str().ok_or_else(|| Error::bad_file(program, "its name is not UTF-8"))?;
        let text = text.replace('{', "{{").replace('}', "}}"); // or they are wildcards
        let (program, jobs) = (serde_json::Value::from(text), self.jobs); // a JSON string is one of Python's
        Ok(format!(
            "# Written by vgg2rtl explore: job i of {jobs} runs every {jobs}th point of the sweep.\n\
             rule all:\n\
             \x20   input: expand(\"slice-{{i}}.json\", i=range({jobs}))\n\n\
             rule slice:\n\
             \x20   input: \"task.json\"\n\
             \x20   output: \"slice-{{i}}.json\"\n\
             \x20   log: \"job-{{i}}.log\"\n\
             \x20   threads: {threads}\n\
             \x20   params: program={program}\n\
             \x20   shell: \"{{params.program:q}} explore --task {{input}} --slice {{wildcards.i}}/{jobs} \
             --outcome {{output}} > {{log}} 2>&1\"\n"
        ))
    }

    /// The rows of all jobs; those of jobs that left no results say so.
    fn gather(&self, task: &Task, folder: &Path) -> Result<Outcome> {
        let mut all = Outcome::default();
        for job in 0..self.jobs {
            let path = folder.join(slice_file(job));
            let found =
                std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Outcome>(&bytes).ok());
            let Some(mut slice) = found else {
                let log = folder.join(format!("job-{job}.log"));
                let reason = format!("job {job} left no results; its log is {}", log.display());
                all.rows.extend(task.unknown((job, self.jobs), &reason, LOST)?);
                continue;
            };
            all.rows.append(&mut slice.rows);
            all.float = all.float.or(slice.float);
            all.stopped |= slice.stopped;
            for note in slice.notes {
                if !all.notes.contains(&note) {
                    all.notes.push(note);
                }
            }
        }
        all.rows.sort_by_key(|r| r.point);
        Ok(all)
    }
}

/// `task` with paths that hold wherever a job runs.
fn absolute(task: &Task, folder: &Path) -> Result<Task> {
    let whole = |path: &Path| path.canonicalize().map_err(Error::io(path));
    let mut task = task.clone();
    if task.model.exists() {
        task.model = whole(&task.model)?;
    }
    if let Some(images) = &mut task.images {
        images.data = whole(&images.data)?;
        images.calibration = images.calibration.as_deref().map(whole).transpose()?;
    }
    if let Some(tuning) = &mut task.qat {
        tuning.train = whole(&tuning.train)?;
    }
    let cache = task.cache.clone().unwrap_or_else(|| folder.join("cache"));
    Cache::open(Some(&cache))?;
    task.cache = Some(whole(&cache)?);
    Ok(task)
}

/// Arguments of `snakemake` in the folder of its Snakefile: all cores, and a job that fails stops no other.
fn snakemake() -> Vec<String> {
    ["--cores", "all", "--keep-going", "--rerun-incomplete"].map(String::from).to_vec()
}

/// `path` as one word of a shell script.
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::bad_file(path, "its name is not UTF-8"))?;
    Ok(format!("'{}'", text.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word_of_the_shell() {
        assert_eq!(quoted(Path::new("/a b/it's")).unwrap(), "'/a b/it'\\''s'");
    }
}
