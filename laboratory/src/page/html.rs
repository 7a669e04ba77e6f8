//! Text from a run, made safe to stand in a page.

use std::fmt::Write as _;

use serde::Serialize;

/// Text as it may stand between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Not text in HTML, and what some of them do depends on the reader.
            _ if letter.is_control() && letter != '\n' && letter != '\t' => {
                escaped.push(char::REPLACEMENT_CHARACTER);
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Text from a run, whose direction and marks of direction end with it.
pub(super) fn isolated(text: &str) -> String {
    format!("<bdi>{}</bdi>", escape(text))
}

/// JSON as it may stand in a script element: nothing in it ends the element, begins a comment or
/// ends a line.
pub(super) fn json(value: &impl Serialize) -> String {
    // A structure of numbers and text can be written; nothing would be the honest rest.
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    let mut safe = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{:04x}", u32::from(letter));
            }
            _ => safe.push(letter),
        }
    }
    safe
}

/// Rows of names and values as a table; nothing for none.
pub(super) fn table(heading: &str, rows: &[(String, String)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            let (name, value) = (isolated(name), isolated(value));
            format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n")
        })
        .collect();
    format!("<section><h2>{heading}</h2>\n<table class=\"pairs\">\n{rows}</table></section>\n")
}

/// A template with each `{{name}}` replaced. What is filled in is not looked at again.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let value = values.iter().find(|(known, _)| *known == name);
        page.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    page.push_str(rest);
    page
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json as value};

    use super::*;

    #[test]
    fn text_ends_no_tag_and_no_attribute() {
        assert_eq!(
            escape("</script>\"'&\u{7}é"),
            "&lt;/script&gt;&quot;&#39;&amp;\u{fffd}é"
        );
    }

    #[test]
    fn json_ends_no_script_and_is_read_as_it_was() {
        let evil = value!({"job": "</script><!--<script>\u{2028}&\"\\\u{202e}"});
        let text = json(&evil);
        for letter in ['<', '>', '&', '\u{2028}'] {
            assert!(!text.contains(letter), "{text}");
        }
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), evil);
    }

    #[test]
    fn what_is_filled_in_is_no_template() {
        let values = [("a", "{{b}}"), ("b", "no")];
        assert_eq!(fill("<{{a}}> {{c}}.", &values), "<{{b}}> .");
    }
}
