class Entry < ApplicationRecord
  validates :name, presence: true, length: { maximum: 80 }
  validates :text, presence: true, length: { maximum: 1000 }
end
