//! A browser and an operating system by name, from `User-Agent`: for people to tell their passkeys apart.

/// Names the browser and the operating system.
pub(crate) fn name(user_agent: &str) -> (&'static str, &'static str) {
    let first = |rows: &[(&str, &'static str)]| {
        rows.iter().find(|(mark, _)| user_agent.contains(mark)).map_or("Unknown", |(_, name)| name)
    };
    // Most browsers name others as well: the rarest mark goes first.
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    (browser, system)
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_what_it_knows() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36";
        assert_eq!(name(chrome), ("Chrome", "Linux"));
        assert_eq!(name(&chrome.replace("X11; Linux", "Linux; Android 16")), ("Chrome", "Android"));
        assert_eq!(name(&format!("{chrome} Edg/156.0")), ("Edge", "Linux"));
        assert_eq!(
            name("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1"),
            ("Safari", "iOS")
        );
        assert_eq!(name("curl/8"), ("Unknown", "Unknown"));
    }
}
