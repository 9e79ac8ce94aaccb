//! Names of signals in kernels: fields, and elements of vectors whose indices use loop variables.

use super::error::Result;

/// Loop variables and their values, innermost last.
pub type Scope = Vec<(String, i64)>;

/// What a name in a kernel stands for.
#[derive(Debug, PartialEq, Eq)]
pub enum Name {
    /// A signal, its parts joined by `$`.
    Signal(String),
    /// A loop variable's value.
    Value(i64),
}

/// Resolves `text`, for example `lanes[i + 1]$d$next`.
pub fn resolve(text: &str, scope: &Scope) -> Result<Name> {
    let mut name = text.trim_start_matches('.').replace('.', "$").replace("::", "$");
    while let Some(shorter) = name.strip_suffix("$next") {
        name = shorter.to_string();
    }
    while let Some(open) = name.find('[') {
        let close = open + name[open..].find(']').ok_or_else(|| format!("{text}: no matching ]"))?;
        let index = evaluate(&name[open + 1..close], scope)?;
        name.replace_range(open..=close, &format!("${index}"));
    }
    Ok(lookup(&name, scope).map_or(Name::Signal(name), Name::Value))
}

fn lookup(name: &str, scope: &Scope) -> Option<i64> {
    scope.iter().rev().find(|(n, _)| n == name).map(|(_, value)| *value)
}

/// Value of an index: `+ - * /` and parentheses over numbers and loop variables.
fn evaluate(text: &str, scope: &Scope) -> Result<i64> {
    let tokens = tokens(text);
    let mut parser = Parser { tokens: &tokens, at: 0, scope };
    let value = parser.sum()?;
    if parser.at == tokens.len() { Ok(value) } else { Err(format!("index {text}: cannot read its end")) }
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = vec![];
    let mut in_word = false;
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        let word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if word && in_word => last.push(c),
            _ => tokens.push(c.to_string()),
        }
        in_word = word;
    }
    tokens
}

struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
    scope: &'a Scope,
}

impl Parser<'_> {
    fn accept(&mut self, token: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|t| t == token);
        self.at += found as usize;
        found
    }

    fn sum(&mut self) -> Result<i64> {
        let mut value = self.product()?;
        loop {
            if self.accept("+") {
                value += self.product()?;
            } else if self.accept("-") {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<i64> {
        let mut value = self.atom()?;
        loop {
            if self.accept("*") {
                value *= self.atom()?;
            } else if self.accept("/") {
                value = value.checked_div(self.atom()?).ok_or("index divides by zero")?;
            } else {
                return Ok(value);
            }
        }
    }

    fn atom(&mut self) -> Result<i64> {
        if self.accept("(") {
            let value = self.sum()?;
            return if self.accept(")") { Ok(value) } else { Err("index: no matching )".into()) };
        }
        let token = self.tokens.get(self.at).ok_or("index ends early")?;
        self.at += 1;
        let number = token.parse().ok().or_else(|| lookup(token, self.scope));
        number.ok_or_else(|| format!("index uses {token}, which is neither a number nor a loop variable"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_integer_arithmetic() {
        let scope = vec![("i".to_string(), 3), ("cols".to_string(), 4)];
        let signal = |text| resolve(text, &scope).unwrap();
        assert_eq!(signal("pe[(i-1)*cols+2]$a_in$next"), Name::Signal("pe$10$a_in".into()));
        assert_eq!(signal("x[i]$y[i/2]"), Name::Signal("x$3$y$1".into()));
        assert_eq!(signal("i"), Name::Value(3));
    }

    #[test]
    fn faults_are_errors() {
        for text in ["x[k]", "x[1", "x[(1]", "x[1/0]", "x[]", "x[1 i]"] {
            assert!(resolve(text, &vec![]).is_err(), "{text}");
        }
    }
}
