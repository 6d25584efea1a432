//! The landing page: one self-contained HTML file with four blanks.

use super::Readiness;

const TEMPLATE: &str = include_str!("landing.html");

/// The page. All that goes into it is escaped, whoever wrote it.
pub(super) fn landing(version: &str, telemetry_path: &str, readiness: &Readiness) -> String {
    let (class, state) = match readiness {
        Readiness::Ready => ("good", "ready"),
        Readiness::NotReady(reason) => ("bad", reason.as_str()),
    };
    // One pass over the template, so that a value with braces in it is not filled in again.
    let mut page = String::with_capacity(TEMPLATE.len() + 256);
    for piece in TEMPLATE.split("{{") {
        let (blank, rest) = piece.split_once("}}").unwrap_or(("", piece));
        match blank {
            "version" => escape(version, &mut page),
            "metrics" => escape(telemetry_path, &mut page),
            "class" => page.push_str(class),
            "state" => escape(state, &mut page),
            _ => {}
        }
        page.push_str(rest);
    }
    page
}

fn escape(text: &str, page: &mut String) {
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            c => page.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_blank_is_filled() {
        let page = landing("1.2.3", "/metrics", &Readiness::Ready);
        assert!(!page.contains("{{") && !page.contains("}}"));
        for part in
            ["1.2.3", "href=\"/metrics\"", "href=\"/-/healthy\"", "href=\"/-/ready\"", "good"]
        {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn what_is_filled_in_cannot_be_markup() {
        let reason = "</p><script>alert('1')</script> & {{version}}".to_owned();
        let page = landing("\"><b>", "/metrics", &Readiness::NotReady(reason));
        assert!(page.contains(
            "&lt;/p&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; {{version}}"
        ));
        assert!(!page.contains("<script") && !page.contains("<b>"));
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for reference in ["src=", "url(", "@import", "<link", "<script", "http:"] {
            assert!(!TEMPLATE.contains(reference), "{reference}");
        }
    }
}
