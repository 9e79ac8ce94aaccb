//! The order that people mean: `features.10` behind `features.2`.

/// One piece of a name: digits by their value, other text as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// A number.
    Number(u64),
    /// What stands between numbers.
    Text(String),
}

/// The pieces of `name`, for sorting.
pub fn key(name: &str) -> Vec<Piece> {
    let mut pieces = vec![];
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (piece, left) = rest.split_at(end);
        pieces.push(match piece.parse() {
            Ok(number) if digits => Piece::Number(number),
            _ => Piece::Text(piece.into()),
        });
        rest = left;
    }
    pieces
}

/// The numbers in `name`, in order.
pub fn numbers(name: &str) -> Vec<u64> {
    let number = |p| if let Piece::Number(n) = p { Some(n) } else { None };
    key(name).into_iter().filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_value() {
        let mut names = ["conv10", "conv2", "conv1_2", "conv1_10", "fc6"];
        names.sort_by_key(|n| key(n));
        assert_eq!(names, ["conv1_2", "conv1_10", "conv2", "conv10", "fc6"]);
        assert_eq!(numbers("block_1.conv10.weight"), [1, 10]);
    }
}
