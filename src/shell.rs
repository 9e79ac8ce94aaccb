//! Commands as a POSIX shell reads them, for people to copy.

/// The line that calls this program with `words`.
pub fn command(words: &[String]) -> String {
    let words = words.iter().map(|text| word(text));
    std::iter::once("vgg2rtl".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}

/// `text` as one word.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_the_words_that_were_meant() {
        let words = ["", "a b", "it's", "$HOME", "*", "a\"b", "\\", "plain-1.5_/x=y", "new\nline", "ü;"];
        let words: Vec<String> = words.iter().map(|w| w.to_string()).collect();
        let line = command(&words).replacen("vgg2rtl", "printf '%s|'", 1);
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), words.join("|") + "|");
    }
}
