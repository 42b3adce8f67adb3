package sample

// person is how names and numbers look in one country.
type person struct {
	country, language, prefix string
	join                      string // between given and family name
	given, family             []string
}

var people = []person{
	{"GB", "en", "+44 ", " ", []string{"Amelia", "Noah", "Oliver", "Isla"}, []string{"Smith", "O'Brien", "Taylor-Jones", "Null"}},
	{"DE", "de", "+49 ", " ", []string{"Jürgen", "Zoë", "Lena", "Björn"}, []string{"Müller", "Weiß", "Größe", "von der Heide"}},
	{"FR", "fr", "+33 ", " ", []string{"Chloé", "François", "Maël"}, []string{"Lefèvre", "d’Estaing", "Œuvrard"}},
	{"PL", "pl", "+48 ", " ", []string{"Łukasz", "Świętosława"}, []string{"Żółć", "Wiśniewski"}},
	{"VN", "vi", "+84 ", " ", []string{"Thị Hồng", "Văn Đức"}, []string{"Nguyễn", "Trần"}},
	{"GR", "el", "+30 ", " ", []string{"Ελένη", "Γιώργος"}, []string{"Παπαδόπουλος", "Οικονόμου"}},
	{"UA", "uk", "+380 ", " ", []string{"Олена", "Тарас"}, []string{"Шевченко", "Їжакевич"}},
	{"IL", "he", "+972 ", " ", []string{"נועה", "יוסף"}, []string{"כהן", "לוי"}},
	{"EG", "ar", "+20 ", " ", []string{"فاطمة", "محمد"}, []string{"الشريف", "حسن"}},
	{"IN", "hi", "+91 ", " ", []string{"आरव", "प्रिया"}, []string{"शर्मा", "गुप्ता"}},
	{"TH", "th", "+66 ", " ", []string{"สมชาย", "กมลวรรณ"}, []string{"ศรีสุข", "ทองดี"}},
	{"CN", "zh", "+86 ", "", []string{"伟", "秀英", "𠮷"}, []string{"王", "李", "歐陽"}},
	{"JP", "ja", "+81 ", " ", []string{"さくら", "翔太", "ユウキ"}, []string{"佐藤", "髙橋"}},
	{"KR", "ko", "+82 ", "", []string{"지우", "서연"}, []string{"김", "박"}},
}

var (
	emoji      = []string{"🚲", "🎉", "👩‍🚀", "🇪🇺", "☕️", "🫶🏽"}
	topLevels  = []string{"com", "org", "net"}
	themes     = []string{"light", "dark", "system"}
	tags       = []string{"new", "vip", "café", "übergröße", "セール", "back-in-stock", "快递"}
	adjectives = []string{"Quiet", "Folding", "Wool", "Enamel", "Ölige", "Tiny", "Second-hand", "\"Best\"", "100%"}
	nouns      = []string{"bicycle", "teapot", "raincoat", "lamp", "Schlüssel", "notebook", "茶碗", "radio", "map of the sea"}
	colours    = []string{"red", "navy", "moss", "crème", "#ff8800"}
	statuses   = []string{"pending", "paid", "packed", "shipped", "delivered", "returned"}
	currencies = []string{"EUR", "EUR", "EUR", "USD", "JPY", "CHF"}
	cities     = []string{"Łódź", "São Paulo", "東京", "Zürich", "القاهرة", "København", "Nowhere\\nElse", "St. John's"}
	eventKinds = []string{"page_view", "page_view", "page_view", "search", "add_to_cart", "login", "sign_up"}
	notes      = []string{
		"Please ring twice.",
		"Leave it with the neighbour;\nnot with the dog. 🐕",
		"It's a \"gift\" -- don't put the bill in\tthe box.",
		"",
		"NULL",
		"Αφήστε το στην πόρτα, ευχαριστώ!",
	}
	phrases = []string{
		"Made by hand in small numbers.",
		"Lasts longer than the box it comes in.",
		"Weighs less than it looks; carries more than it weighs.",
		"Wasserdicht bis 3 m, größer als gedacht.",
		"毎日使える、丈夫な一品です。",
		"Comes with a spare part, a letter and \\no instructions.",
		"Ships within two days, 50% of the time.",
		"Not for use in the rain 🌧️ unless it rains.",
	}
)
