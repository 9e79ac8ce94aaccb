//! A sweep through a real Slurm: controller, daemon and munge on the loopback interface, in a temporary folder.

use super::{TempDir, json, points, present};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Daemons that end with the test.
struct Cluster {
    folder: TempDir,
    daemons: Vec<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configuration(at: &Path) -> String {
    let (controller, daemon, at) = (free_port(), free_port(), at.display());
    format!(
        "ClusterName=test\nSlurmctldHost=localhost(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\n\
         AuthType=auth/munge\nCryptoType=crypto/munge\nAuthInfo=socket={at}/munge.socket\n\
         SlurmctldPort={controller}\nSlurmdPort={daemon}\nStateSaveLocation={at}/state\nSlurmdSpoolDir={at}/spool\n\
         SlurmctldPidFile={at}/slurmctld.pid\nSlurmdPidFile={at}/slurmd.pid\n\
         ProctrackType=proctrack/pgid\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n\
         SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\nSchedulerParameters=batch_sched_delay=0\n\
         MpiDefault=none\nReturnToService=2\nMailProg=/bin/true\n\
         NodeName=localhost NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN\n\
         PartitionName=all Nodes=localhost Default=YES State=UP\n"
    )
}

impl Cluster {
    /// Starts one; the reason where that cannot be.
    fn start() -> Result<Self, String> {
        let mut cluster = Self { folder: TempDir::new().unwrap(), daemons: vec![] };
        let at = cluster.folder.path().to_path_buf();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(at.join("state")).unwrap();
        fs::create_dir(at.join("spool")).unwrap();
        let key = at.join("munge.key");
        fs::write(&key, fs::read("/proc/sys/kernel/random/uuid").unwrap().repeat(4)).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(at.join("slurm.conf"), configuration(&at)).unwrap();
        let file = |option: &str, name: &str| format!("--{option}={}", at.join(name).display());
        let munge = [
            "--force".into(),
            "--foreground".into(),
            file("key-file", "munge.key"),
            file("socket", "munge.socket"),
            file("pid-file", "munged.pid"),
            file("log-file", "munged.log"),
            file("seed-file", "munged.seed"),
        ];
        cluster.daemon("munged", &munge)?;
        cluster.wait_for("munge's socket", || at.join("munge.socket").exists())?;
        cluster.daemon("slurmctld", &["-D".into()])?;
        cluster.daemon("slurmd", &["-D".into(), "-N".into(), "localhost".into()])?;
        let idle = || {
            let sinfo = Command::new("sinfo")
                .args(["-h", "-o", "%T"])
                .env("SLURM_CONF", at.join("slurm.conf"))
                .output();
            sinfo.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).trim() == "idle")
        };
        cluster.wait_for("the node to be idle", idle)?;
        Ok(cluster)
    }

    fn daemon(&mut self, program: &str, arguments: &[String]) -> Result<(), String> {
        let log = fs::File::create(self.folder.path().join(format!("{program}.out"))).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).env("SLURM_CONF", self.folder.path().join("slurm.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.daemons.push(command.spawn().map_err(|e| format!("{program}: {e}"))?);
        Ok(())
    }

    fn wait_for(&self, what: &str, ready: impl Fn() -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !ready() {
            if start.elapsed() > Duration::from_secs(60) {
                let said = |p: &str| {
                    fs::read_to_string(self.folder.path().join(format!("{p}.out"))).unwrap_or_default()
                };
                let said = ["munged", "slurmctld", "slurmd"].map(said).join("");
                return Err(format!("waited a minute for {what}: {said}"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

#[test]
fn slurm_finds_what_this_machine_does() {
    if !present(&["munged", "slurmctld", "slurmd", "sinfo", "sbatch"]) {
        return;
    }
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "{reason}");
            println!("skipped: Slurm does not start here: {reason}");
            return;
        }
    };
    let folder = TempDir::new().unwrap();
    let sweep = ["vgg16", "--weights", "2..6", "--acts", "8", "--array", "4x4,8x8"];
    let here = json(&folder, &sweep);
    let slurm = |shared: &Path| -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
        command.arg("explore").args(sweep).args([
            "--engine",
            "slurm",
            "--array-jobs",
            "3",
            "--json",
            "--shared",
        ]);
        let output =
            command.arg(shared).env("SLURM_CONF", cluster.folder.path().join("slurm.conf")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let shared = folder.path().join("shared folder");
    let there = slurm(&shared);
    assert_eq!(points(&there), points(&here));
    for job in 0..3 {
        assert!(
            shared.join(format!("slice-{job}.json")).is_file()
                && shared.join(format!("job-{job}.log")).is_file()
        );
    }
}
