//! One self-contained page: a table that sorts, and charts that answer to pointer and keys.

use super::Report;

/// Most points of a page: a browser holds no more rows with ease.
pub const MOST_ROWS: usize = 20_000;

/// The page; it reads nothing from elsewhere.
pub fn page(report: &Report) -> String {
    let title = text(&report.model);
    // In JSON, `<` stands in strings only: escaped, no text of a user's can end the element that holds it.
    let data = report.json().to_string().replace('<', "\\u003c");
    let (style, body) = (include_str!("page.css"), include_str!("page.html"));
    let script = concat!(
        include_str!("data.js"),
        include_str!("charts.js"),
        include_str!("table.js"),
        include_str!("page.js")
    );
    let echarts = include_str!("echarts/echarts.min.js");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>vgg2rtl explore: {title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>\n{style}</style>\n</head>\n<body>\n\
         <h1>vgg2rtl explore: {title}</h1>\n{body}\
         <script type=\"application/json\" id=\"data\">{data}</script>\n\
         <script>{echarts}</script>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )
}

/// `value` as the text of an element.
fn text(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
