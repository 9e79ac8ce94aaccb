//! The report's page in a real browser.

use super::{explore, present};
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

/// Before everything else: gathers what goes wrong.
const LISTEN: &str = "<script>
  window.problems = [];
  addEventListener('error', (e) => problems.push(String(e.message)));
  for (const level of ['error', 'warn']) {
    const usual = console[level];
    console[level] = (...said) => { problems.push(said.join(' ')); usual(...said); };
  }
</script>";

/// After everything else: what a user would do, and what there is then to see.
const USE: &str = "<script>{
  const found = { rows: document.querySelectorAll('#points tbody tr').length };
  const column = (key) => {
    const buttons = [...document.querySelectorAll('#points th button')];
    const i = buttons.findIndex((b) => b.dataset.key === key);
    return { click: () => buttons[i].click(), cells: () => [...document.querySelectorAll('#points tbody tr')].map((r) => r.cells[i].textContent) };
  };
  const lut = column('lut');
  lut.click(); found.up = lut.cells();
  lut.click(); found.down = lut.cells();
  const drawn = () => {
    const data = echarts.getInstanceByDom(document.getElementById('front')).getModel().getSeriesByIndex(0).getData();
    let shapes = 0;
    for (let i = 0; i < data.count(); i++) shapes += data.getItemGraphicEl(i) ? 1 : 0;
    return shapes;
  };
  found.drawn = drawn();
  found.paths = document.querySelectorAll('#front svg path').length;
  const across = document.getElementById('across');
  across.value = 'cycles'; across.dispatchEvent(new Event('change'));
  found.redrawn = drawn();
  document.getElementById('front-only').click();
  found.front = drawn();
  found.bars = document.querySelectorAll('#cycles svg path').length;
  found.cells = echarts.getInstanceByDom(document.getElementById('bits')).getModel().getSeriesByIndex(0).getData().count();
  const second = document.querySelector('#points tr[data-point=\"1\"]');
  second.click();
  found.chosen = document.getElementById('chosen').textContent;
  const filter = document.getElementById('filter');
  filter.value = 'W4A4'; filter.dispatchEvent(new Event('input'));
  found.filtered = [...document.querySelectorAll('#points tbody tr')].filter((r) => !r.hidden).length;
  found.loaded = performance.getEntriesByType('resource').length;
  found.problems = problems;
  const pre = document.createElement('pre');
  pre.id = 'found';
  pre.textContent = JSON.stringify(found);
  document.body.append(pre);
}</script>";

/// What the browser finds on `page`, and what it says on its console.
fn visit(folder: &TempDir, page: &str) -> (Value, String) {
    let (page, end) = page.split_at(page.rfind("</body>").unwrap()); // the charts' script speaks of one too
    let page = page.replacen("<head>", &format!("<head>{LISTEN}"), 1) + USE + end;
    let path = folder.path().join("visited.html");
    std::fs::write(&path, page).unwrap();
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let output = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,1800", &profile])
        .args(["--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let found = dom.split("<pre id=\"found\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let found = found.unwrap_or_else(|| panic!("the page did not run to its end: {log}"));
    let console = log.lines().filter(|l| l.contains("CONSOLE")).collect::<Vec<_>>().join("\n");
    (serde_json::from_str(found).unwrap(), console)
}

#[test]
fn the_page_sorts_draws_and_reads_nothing_else() {
    if !present(&["chromium"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("page.html").display().to_string();
    let lists = ["--weights", "2..8", "--acts", "2..8", "--ends", "2", "--array", "8x8,16x16,32x32"];
    let output = explore(&folder, &[&["vgg16", "--report", &path], &lists[..]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (found, console) = visit(&folder, &std::fs::read_to_string(path).unwrap());
    let number = |key: &str| found[key].as_u64().unwrap();
    assert_eq!((number("rows"), number("drawn"), number("redrawn")), (147, 147, 147), "{found}");
    assert!(number("paths") >= 147 && number("front") > 0 && number("front") < 147, "{found}");
    assert!(number("bars") >= 16 && number("cells") == 7 * 16, "{found}");
    assert_eq!((number("filtered"), found["chosen"].as_str()), (3, Some("1: W3A2, 8×8")), "{found}");
    let values = |key: &str| -> Vec<u64> {
        let cells = found[key].as_array().unwrap().iter();
        cells.map(|c| c.as_str().unwrap().replace(',', "").parse().unwrap()).collect()
    };
    let (up, down) = (values("up"), values("down"));
    assert!(up.is_sorted() && down.iter().rev().is_sorted() && up.first() < up.last(), "{found}");
    assert_eq!(
        (number("loaded"), &found["problems"], console.as_str()),
        (0, &Value::from(Vec::<Value>::new()), "")
    );
}
