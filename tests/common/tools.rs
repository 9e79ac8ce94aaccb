//! Programs that a test needs and a machine may lack.

/// Whether all of `programs` are in PATH; says what is missing, which is a failure where CI is set.
pub fn present(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &&str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let Some(missing) = programs.iter().find(|program| !is_there(program)) else { return true };
    assert!(std::env::var_os("CI").is_none(), "{missing} is missing");
    println!("skipped: {missing} is missing");
    false
}
