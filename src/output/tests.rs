use super::*;
use std::os::unix::fs::symlink;
use tempfile::tempdir;

fn refusal(outputs: &[Output], inputs: &[PathBuf]) -> String {
    let error = check(outputs, inputs).unwrap_err();
    assert_eq!(error.exit_code(), 5);
    error.to_string()
}

#[test]
fn links_are_followed_and_modes_stay() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "old").unwrap();
    fs::set_permissions(at("file"), PermissionsExt::from_mode(0o604)).unwrap();
    symlink("file", at("link")).unwrap();
    symlink(at("link"), at("second")).unwrap();
    symlink("missing", at("dangling")).unwrap();
    for (path, target) in [("second", "file"), ("dangling", "missing")] {
        write(&at(path), path.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(at(target)).unwrap(), path);
        assert!(at(path).is_symlink());
    }
    assert_eq!(fs::metadata(at("file")).unwrap().mode() & 0o777, 0o604);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
}

#[test]
fn what_would_be_lost_is_refused() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("input"), "input").unwrap();
    fs::hard_link(at("input"), at("same")).unwrap();
    let (same, new, deep) = (at("same"), at("new"), at("no/where"));
    let input = [at("input")];
    let destroys = format!("--csv {}: would destroy the input {}", same.display(), input[0].display());
    assert_eq!(refusal(&[Output::file("--csv", &same)], &input), destroys);
    let twice = [Output::file("--csv", &new), Output::file("--report", &new)];
    assert!(refusal(&twice, &input).ends_with("new: is an output of --csv too"));
    assert!(refusal(&[Output::file("-o", folder.path())], &[]).ends_with(": is a folder"));
    assert!(refusal(&[Output::file("-o", &deep)], &[]).contains("no is not there"));
    assert!(refusal(&[Output::whole_folder("-o", folder.path())], &input).contains("would destroy"));
    check(&[Output::folder("-o", folder.path()), Output::folder("--plots", &deep)], &input).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn only_what_nobody_holds_is_a_stray() {
    let folder = tempdir().unwrap();
    let draft = Draft::in_folder(folder.path()).unwrap();
    let work = Workspace::new(folder.path()).unwrap();
    fs::write(work.path().join("part"), "of it").unwrap();
    let killed = folder.path().join(format!("{}killed", prefix()));
    fs::create_dir_all(killed.join("deep")).unwrap();
    fs::write(folder.path().join(format!("{PREFIX}elsewhere-x")), "young").unwrap();
    remove_strays(folder.path());
    assert!(draft.file.path().exists() && work.path().join("part").exists() && !killed.exists());
    drop((draft, work));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn folders_are_replaced_in_one_step() {
    let folder = tempdir().unwrap();
    let to = folder.path().join("to");
    for content in ["first", "second"] {
        let work = Workspace::new(folder.path()).unwrap();
        let fresh = work.path().join("fresh");
        fs::create_dir(&fresh).unwrap();
        fs::write(fresh.join("file"), content).unwrap();
        replace_folder(&fresh, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("file")).unwrap(), content);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    for path in [&one, &other] {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), path.file_name().unwrap().as_encoded_bytes()).unwrap();
    }
    in_two_steps(&one, &other).unwrap();
    assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "one");
}
