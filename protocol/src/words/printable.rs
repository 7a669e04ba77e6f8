//! Words of others, on their way to a terminal or a log.
//!
//! A file's name may hold what a terminal obeys or what hides other letters: escape sequences, line
//! ends, marks that turn the direction of writing, letters without a width. Here they become visible.

use std::borrow::Cow;

/// Text on one line that a terminal shows and does not obey.
///
/// Control characters (of C1 too), line ends, bidirectional, zero-width and other format characters, and
/// what is no character yet, become `\u{…}`, or `\n`, `\r`, `\t`, `\0`. Letters of all scripts,
/// combining accents, quotes and backslashes stay as they are, so what was made printable stays the
/// same when it is made so again.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, is_shown, |letter, escaped| {
        escaped.extend(letter.escape_debug());
    })
}

/// [`printable`] of each line of a text; the line ends stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(
        text,
        |letter| letter == '\n' || is_shown(letter),
        |letter, escaped| escaped.extend(letter.escape_debug()),
    )
}

/// The same for text that is JSON: what would be escaped is written as `\u202e`, which means the same to
/// a reader of JSON. Line ends, which in JSON stand between values only, stay.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    escape(
        json,
        |letter| letter == '\n' || is_shown(letter),
        |letter, escaped| {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        },
    )
}

fn escape(
    text: &str,
    stays: impl Fn(char) -> bool,
    write: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    let Some(first) = text.find(|letter| !stays(letter)) else {
        return Cow::Borrowed(text);
    };
    let (begin, rest) = text.split_at(first);
    let mut escaped = begin.to_owned();
    for letter in rest.chars() {
        if stays(letter) {
            escaped.push(letter);
        } else {
            write(letter, &mut escaped);
        }
    }
    Cow::Owned(escaped)
}

/// Whether the letter is seen, and is only seen. The standard library knows: it escapes nothing else
/// but quotes, the backslash, and an accent at the beginning, before which an x is put here.
fn is_shown(letter: char) -> bool {
    if letter.is_ascii() {
        return matches!(letter, ' '..='~');
    }
    let mut pair = [b'x'; 5];
    let length = letter.encode_utf8(&mut pair[1..]).len();
    str::from_utf8(&pair[..=length]).is_ok_and(|pair| pair.escape_debug().nth(1) == Some(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_letters_of_all_scripts_stay_as_they_are() {
        for text in [
            "",
            "ten",
            r#"a "quoted" 'name' with a \ and a \u{202e}"#,
            "zehn Gräben, e\u{301}te\u{301}",
            "\u{301}an accent at the beginning",
            "десять δέκα עשר عشرة दस สิบ 十 十\u{fe0f} 열 😀",
        ] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
            assert_eq!(printable_lines(text), text);
            assert_eq!(printable_json(text), text);
        }
    }

    #[test]
    fn what_a_terminal_obeys_or_hides_becomes_visible() {
        for (text, shown) in [
            ("a\u{1b}[2Jb", r"a\u{1b}[2Jb"),
            ("\u{9b}2J\u{85}", r"\u{9b}2J\u{85}"),
            ("a\nb\r\tc\0", r"a\nb\r\tc\0"),
            ("\u{7}\u{8}\u{7f}", r"\u{7}\u{8}\u{7f}"),
            ("cod\u{202e}txt.boj", r"cod\u{202e}txt.boj"),
            (
                "\u{2066}\u{2069}\u{200f}\u{61c}",
                r"\u{2066}\u{2069}\u{200f}\u{61c}",
            ),
            (
                "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}",
                r"\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}",
            ),
            (
                "\u{2028}\u{2029}\u{e0041}\u{e000}",
                r"\u{2028}\u{2029}\u{e0041}\u{e000}",
            ),
        ] {
            assert_eq!(printable(text), shown);
            assert_eq!(printable(shown), shown);
        }
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(printable_lines("a\u{1b}\nb\r\n"), "a\\u{1b}\nb\\r\n");
    }

    #[test]
    fn json_means_the_same_as_before() {
        let json = "{\n  \"a\u{9b}\": \"\u{202e}\u{e0041}ä\\n\"\n}\n";
        assert_eq!(
            printable_json(json),
            "{\n  \"a\\u009b\": \"\\u202e\\udb40\\udc41ä\\n\"\n}\n"
        );
    }
}
