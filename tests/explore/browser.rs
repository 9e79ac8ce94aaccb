//! The report's page in a real browser, used with pointer and keys.

use super::devtools::Browser;
use super::{explore, present};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

const WIDE: (u32, u32) = (1300, 1800);

/// The places of all points of the scatter on the screen, in the order of their series: `[[point, x, y], …]`.
const PLACES: &str = "(() => {
  const chart = echarts.getInstanceByDom(document.getElementById('front'));
  const box = document.getElementById('front').getBoundingClientRect();
  return chart.getOption().series[0].data.map((d) => {
    const [x, y] = chart.convertToPixel({ seriesIndex: 0 }, d.value.slice(0, 2));
    return [d.point, box.x + x, box.y + y];
  });
})()";

/// Letters of the scatter: `[text, left, top, right, bottom]`.
const LETTERS: &str =
    "[...document.querySelectorAll('#front svg text')].filter((t) => t.textContent.trim()).map((t) => {
  const r = t.getBoundingClientRect(); return [t.textContent, r.left, r.top, r.right, r.bottom]; })";

/// A column of the table as it stands there, without rows that are hidden.
fn column(browser: &mut Browser, key: &str) -> Vec<String> {
    let cells = browser.value(&format!(
        "(() => {{ const i = [...document.querySelectorAll('#points th button')].findIndex((b) => b.dataset.key === {key:?}); \
         return [...document.querySelectorAll('#points tbody tr')].filter((r) => !r.hidden).map((r) => r.cells[i].textContent); }})()"
    ));
    serde_json::from_value(cells).unwrap()
}

fn numbers(cells: &[String]) -> Vec<u64> {
    cells.iter().map(|c| c.replace(',', "").parse().unwrap()).collect()
}

/// A sweep of 147 points on the whole VGG16: its report, the page in a browser, and the file.
fn opened(folder: &TempDir) -> (Value, Browser, PathBuf) {
    let path = folder.path().join("page.html");
    let page = path.display().to_string();
    let lists = ["--weights", "2..8", "--acts", "2..8", "--ends", "2", "--array", "8x8,16x16,32x32"];
    let output = explore(folder, &[&["vgg16", "--json", "--report", &page], &lists[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut browser = Browser::start();
    browser.look(WIDE, false, "");
    browser.open(&path);
    (serde_json::from_slice(&output.stdout).unwrap(), browser, path)
}

fn chosen(browser: &mut Browser) -> usize {
    let text = browser.text("document.getElementById('chosen').textContent");
    text.split(':').next().unwrap().parse().unwrap_or_else(|_| panic!("{text}"))
}

/// The commands of a point, as the report has them.
fn commands(report: &Value, point: usize) -> String {
    let lines = report["points"][point]["commands"].as_array().unwrap().iter();
    lines.map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_page_sorts_filters_draws_and_reads_nothing_else() {
    if !present(&["chromium", "bash"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (report, mut browser, _) = opened(&folder);
    // Three arrays of W2A2 are the front over area and speed: the small one, the fast one, and the knee between them.
    let knee = &report["points"][report["knee"].as_u64().unwrap() as usize];
    assert_eq!((&knee["weights"], &knee["rows"], &knee["pareto"]), (&json!(2), &json!(16), &json!(true)));
    assert_eq!(chosen(&mut browser) as u64, report["knee"].as_u64().unwrap(), "it opens on the knee");
    assert_eq!(column(&mut browser, "lut").len(), 147);
    assert_eq!(browser.value(PLACES).as_array().unwrap().len(), 147);
    let paths = browser.value("document.querySelectorAll('#front svg path').length");
    assert!(paths.as_u64() >= Some(147), "{paths}");
    for (id, least) in [("cycles", 16), ("bits", 7 * 16), ("grid", 7 * 7)] {
        let shapes = browser.value(&format!("document.querySelectorAll('#{id} svg path').length"));
        assert!(shapes.as_u64() >= Some(least), "{id}: {shapes}");
    }

    let place = "(() => { const b = document.querySelector('#points button[data-key=lut]'); b.scrollIntoView({ block: 'center' }); \
                 const r = b.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()";
    let place = browser.value(place);
    browser.click_at(&place);
    let up = numbers(&column(&mut browser, "lut"));
    browser.click_at(&place);
    let down = numbers(&column(&mut browser, "lut"));
    assert!(up.is_sorted() && down.iter().rev().is_sorted() && up[0] < up[146], "{up:?} {down:?}");
    let sorted = "document.querySelector('#points button[data-key=lut]').parentElement.ariaSort";
    assert_eq!(browser.text(sorted), "descending");

    browser.value("document.getElementById('filter').focus()");
    browser.write("w4a4 16×16");
    assert_eq!(column(&mut browser, "coding"), ["W4A4"]);
    assert_eq!(browser.text("document.getElementById('shown').textContent"), "1 of 147 points");

    let front = report["front"].as_array().unwrap().len();
    browser.value("document.getElementById('front-only').click()");
    assert_eq!(browser.value(PLACES).as_array().unwrap().len(), front);
    browser.value("(() => { const s = document.getElementById('up'); s.value = 'cycles'; s.dispatchEvent(new Event('change')); })()");
    let title = "echarts.getInstanceByDom(document.getElementById('front')).getOption().yAxis[0].name";
    assert_eq!(browser.text(title), "cycles / image");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn points_answer_to_pointer_and_keys_with_the_commands_that_make_them() {
    if !present(&["chromium", "bash"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (report, mut browser, _) = opened(&folder);
    // A point that no other is drawn over, but the one that the page opens on.
    let knee = report["knee"].as_u64().unwrap() as f64;
    let places = browser.value(PLACES);
    let places: Vec<(f64, f64, f64)> = serde_json::from_value(places).unwrap();
    let is_alone = |a: &&(f64, f64, f64)| {
        let near = |b: &&(f64, f64, f64)| b.0 != a.0 && (a.1 - b.1).hypot(a.2 - b.2) <= 14.0;
        a.0 != knee && a.0 < 146.0 && !places.iter().any(|b| near(&b))
    };
    let &(point, x, y) = places.iter().find(is_alone).expect("some point is alone");
    let point = point as usize;
    browser.hover(&json!([x + 40.0, y + 40.0]));
    browser.hover(&json!([x, y]));
    let tip = "new Promise((done) => setTimeout(() => done([...document.querySelectorAll('#front > div')].map((d) => d.textContent).join()), 300))";
    let tip = browser.text(tip);
    let p = &report["points"][point];
    let coding = format!("point {point}: W{}A{}, {2}×{2}, ecp5", p["weights"], p["acts"], p["rows"]);
    assert!(tip.contains(&coding), "{tip} has no {coding}");
    assert!(tip.replace(',', "").contains(&format!("LUT: {}", p["resources"]["lut"])), "{tip}");

    assert_ne!(chosen(&mut browser), point);
    browser.click_at(&json!([x, y]));
    assert_eq!(chosen(&mut browser), point);
    let shown = "document.getElementById('commands').textContent";
    assert_eq!(browser.text(shown), commands(&report, point));
    assert!(commands(&report, point).contains("vgg2rtl generate "));

    // To be copied: pasted into the filter, it is what was shown.
    let permission = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.call("Browser.grantPermissions", permission);
    browser.value("document.getElementById('copy').focus()");
    browser.press("Enter", 13);
    let clipboard = browser.text("navigator.clipboard.readText()");
    assert_eq!(clipboard, commands(&report, point));
    assert_eq!(browser.text("document.getElementById('copied').textContent"), "copied");

    // Rows: the chosen one takes the focus, arrows go on, sorted or not.
    browser.value("document.querySelector('#points tr[tabindex=\"0\"]').focus()");
    browser.press("ArrowDown", 40);
    assert_eq!(chosen(&mut browser), point + 1);
    browser.press("Home", 36);
    assert_eq!(chosen(&mut browser), 0);
    assert_eq!(browser.text("document.activeElement.dataset.point"), "0");
    browser.press("ArrowUp", 38);
    assert_eq!(chosen(&mut browser), 0, "nothing is above the first");
    browser.press("End", 35);
    assert_eq!(chosen(&mut browser), 146);

    // The scatter: to the right there are more look-up tables.
    let lut = |point: usize| report["points"][point]["resources"]["lut"].as_u64().unwrap();
    browser.value("document.getElementById('front').focus()");
    browser.press("ArrowLeft", 37);
    let left = chosen(&mut browser);
    browser.press("ArrowLeft", 37);
    let further = chosen(&mut browser);
    assert!(left != further && lut(further) <= lut(left) && lut(left) <= lut(146));
    browser.press("ArrowRight", 39);
    assert_eq!(chosen(&mut browser), left);
    assert_eq!(browser.text(shown), commands(&report, left));

    // Whatever can be used is reached by the Tab key, and shows where it is.
    browser.value("document.activeElement.blur(); document.body.focus(); scrollTo(0, 0)");
    let mut reached = vec![];
    for _ in 0..60 {
        browser.press("Tab", 9);
        reached.push(browser.text("document.activeElement.id || document.activeElement.dataset.key || document.activeElement.tagName"));
    }
    for id in
        ["theme", "across", "up", "colour", "front-only", "front", "commands", "copy", "filter", "lut", "TR"]
    {
        assert!(reached.iter().any(|r| r == id), "Tab does not reach {id}: {reached:?}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_page_is_dark_narrow_and_printed() {
    if !present(&["chromium", "bash"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (_, mut browser, path) = opened(&folder);
    let paper = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.text(paper), "rgb(255, 255, 255)");
    browser.look((400, 900), true, "");
    browser.open(&path);
    assert_eq!(browser.text(paper), "rgb(20, 24, 29)", "as the system is");
    let fill = "document.querySelector('#front svg text').getAttribute('fill')";
    let brightness = |hex: &str| u32::from_str_radix(&hex[1..3], 16).unwrap_or_else(|_| panic!("{hex}"));
    assert!(brightness(&browser.text(fill)) > 0x80, "letters of charts are bright on dark");

    assert!(browser.value("document.documentElement.scrollWidth").as_u64() <= Some(400));
    let plot = "echarts.getInstanceByDom(document.getElementById('front')).getModel().getComponent('grid').coordinateSystem.getRect().width";
    let plot = browser.value(plot).as_f64().unwrap();
    assert!(plot > 0.75 * 400.0, "the scatter is {plot} pixels wide");
    let letters: Vec<(String, f64, f64, f64, f64)> = serde_json::from_value(browser.value(LETTERS)).unwrap();
    assert!(letters.len() > 8 && letters.iter().any(|l| l.0 == "LUT"), "{letters:?}");
    for (i, a) in letters.iter().enumerate() {
        assert!(a.1 >= 0.0 && a.3 <= 400.0, "{a:?} is cut off");
        let meets = |b: &&(String, f64, f64, f64, f64)| {
            a.1 + 1.0 < b.3 && b.1 + 1.0 < a.3 && a.2 + 2.0 < b.4 && b.2 + 2.0 < a.4
        };
        assert!(letters[i + 1..].iter().find(meets).is_none(), "{a:?} meets {letters:?}");
    }

    // On paper: light, without what can only be clicked, the whole table.
    browser.look((400, 900), true, "print");
    browser.value("dispatchEvent(new Event('beforeprint'))");
    assert_eq!(browser.text(paper), "rgb(255, 255, 255)");
    assert!(brightness(&browser.text(fill)) < 0x80);
    for selector in ["#copy", "#filter", "#across"] {
        let height = browser.value(&format!("document.querySelector({selector:?}).offsetHeight"));
        assert_eq!(height.as_u64(), Some(0), "{selector} is on paper");
    }
    let cut = "(() => { const s = document.querySelector('.scroll'); return s.scrollHeight > s.clientHeight + 1; })()";
    assert_eq!(browser.value(cut), false, "the table is whole");
    assert_eq!(browser.value("document.querySelector('details').open"), true);
    assert!(
        browser.value("document.querySelector('#front svg').getBoundingClientRect().width").as_f64()
            < Some(700.0)
    );
    browser.value("dispatchEvent(new Event('afterprint'))");
    browser.look((400, 900), true, "");
    assert_eq!(browser.text(paper), "rgb(20, 24, 29)", "as before");
    let printed = browser.call("Page.printToPDF", json!({}));
    assert!(printed["data"].as_str().is_some_and(|pdf| pdf.starts_with("JVBER")), "a PDF");

    browser.value("(() => { const s = document.getElementById('theme'); s.value = 'light'; s.dispatchEvent(new Event('change')); })()");
    assert_eq!(browser.text(paper), "rgb(255, 255, 255)", "as chosen");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
