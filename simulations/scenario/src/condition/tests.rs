use super::*;

#[test]
fn what_may_still_come_to_hold_breaks_no_run_off() {
    for (text, want) in [
        ("p(95)<200", true),
        ("avg<200", true),
        ("max<200", true),
        ("failed==0", true),
        ("failed<5", true),
        ("failed<1%", true),
        ("count<100", true),
        ("rate<100", true),
        ("rate>100", false),
        ("count>=100", false),
        ("count==100", false),
        ("failed>1", false),
        ("max>1", false),
        ("min<1", false),
        ("p(95)!=1", false),
    ] {
        assert_eq!(text.parse::<Condition>().unwrap().may_abort().is_ok(), want, "{text}");
    }
}

#[test]
fn what_is_no_threshold_says_what_would_be() {
    for (text, says) in [
        ("p(95)", "no operator"),
        ("p(95)<", "no number"),
        ("p(95)<-1", "no number"),
        ("p(101)<1", "no figure"),
        ("fialed==0", "`failed`"),
        ("p(95)<200rps", "not a unit of time"),
        ("rate>100ms", "no unit"),
        ("failed<1s", "no unit"),
        ("", "no operator"),
        ("<1", "no figure"),
        ("é<1", "no figure"),
    ] {
        let error = text.parse::<Condition>().unwrap_err();
        assert!(error.contains(says) && error.contains("write for example"), "{text}: {error}");
    }
}

#[test]
fn users_accept_bounds_from_above() {
    for (text, want) in [
        ("p(95)<200", true),
        ("max<=2s", true),
        ("failed<1%", true),
        ("failed==0", true),
        ("failed==0%", true),
        ("failed>50%", false),
        ("failed>=1", false),
        ("failed==3", false),
        ("failed!=0", false),
        ("p(95)>200", false),
        ("rate>=5", false),
        ("count<5", false),
    ] {
        assert_eq!(text.parse::<Condition>().unwrap().is_of_quality(), want, "{text}");
    }
}

#[test]
fn what_always_or_never_holds_says_nothing() {
    for (text, says) in [
        ("failed<=100%", "always"),
        ("failed<101%", "always"),
        ("failed<100%", ""),
        ("failed<=99.9%", ""),
        ("failed>=0", "always"),
        ("failed>0", ""),
        ("failed<0", "never"),
        ("failed<=0", ""),
        ("failed>100%", "never"),
        ("failed==100%", ""),
        ("failed==101%", "never"),
        ("failed!=101%", "always"),
        ("count>=0", "always"),
        ("count>=1", ""),
        ("count<0", "never"),
        ("rate>=0", "always"),
        ("rate>0", ""),
        ("p(95)<20000", ""),
        ("p(95)<20001", "always"),
        ("p(95)<=20s", "always"),
        ("max<21s", "always"),
        ("avg<999999", "always"),
        ("min>0", "always"),
        ("min>=0", "always"),
        ("med<0", "never"),
        ("med<=0", "never"),
        ("p(99)>20s", "never"),
        ("p(99)==100", "exact"),
        ("max!=100ms", "exact"),
    ] {
        let found = text.parse::<Condition>().unwrap().says_nothing().unwrap_or_default();
        assert!(if says.is_empty() { found.is_empty() } else { found.contains(says) }, "{text}: {found:?}");
    }
}
